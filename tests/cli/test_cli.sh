#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_cli.sh OCTET MAKE_MODEL SOURCE: what a user of the command line relies on: exit codes, one-line errors, JSON,
# outputs that are whole or untouched. Prints every failed check; exit 0 only if there is none.
octet=$(realpath "$1") make_model=$(realpath "$2") source=$(realpath "$3")
work=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
. "$source/tests/cli/checks.sh"

cd "$work" || exit 1
"$make_model" . || exit 1
cp net.onnx reference.onnx

# ---- finding one's way ----
expect 2
has out 'octet quantize'
[ "$(grep -c '^  octet ' out)" = 3 ] || fail 'short help has not three examples'
expect 0 --version
has out '^octet [0-9]'
expect 0 --help
for verb in inspect quantize calibrate qat tune eval compare diff bench report run doctor; do
    expect 0 "$verb" --help
    has out '^usage: octet'
    has out '^examples:'
    mv out first
    expect 0 help "$verb"
    cmp -s first out || fail "help $verb and $verb --help differ"
done
refused 2 "did you mean 'quantize'" quantise
refused 2 "did you mean '--data'" quantize net.onnx --dat=x --dta=x
refused 2 "unknown option '-Z'" eval net.onnx -Z
refused 2 'too few operands' inspect
refused 2 "'--data PATH' is missing" quantize net.onnx -o q.onnx
refused 2 'output' quantize net.onnx --data calib.npy
refused 2 'unknown word' quantize net.onnx --data calib.npy -o q.onnx --method magic
refused 2 'max-drop needs --baseline' eval net.onnx --data calib.npy --max-drop 1%

# ---- the story: inspect, quantize, eval, compare, run ----
expect 0 inspect net.onnx
has out 'Conv 1'
expect 0 inspect net.onnx --json
is_json out
keys out inputs outputs operators parameters macs int8.nodes memory_bytes merged stage
expect 0 inspect --operators
has out '^Conv '
expect 0 inspect --operators --markdown
has out '^| Conv |'
expect 0 quantize net.onnx --data calib.npy -o q.onnx
has out 'output SQNR'
has out '^costliest'
[ -s q.onnx ] || fail 'no model was written'
expect 0 quantize net.onnx --data calib.npy -f -o q.onnx --json=q.json
is_json q.json
keys q.json output_sqnr_db nodes.int8 nodes.float float_nodes macs_int8 seconds peak_rss_bytes xxh3_128
python3 - <<'PY' || fail 'quantize --json: values'
import json
d = json.load(open("q.json"))
assert d["macs_int8"] == 1 and d["output_sqnr_db"] > 20 and len(d["xxh3_128"]) == 32 and d["nodes"]["int8"] >= 2
PY
expect 0 inspect q.onnx --json
has out '"stage": "quantized"'
expect 0 eval q.onnx --data calib.npy --labels labels.txt --baseline net.onnx --max-drop 100%
has out '^gate'
expect 0 eval q.onnx --data calib.npy --labels labels.txt --baseline net.onnx --json
is_json out
keys out top1 top5 agreement mse psnr_db sqnr_db count baseline.top1 drop
expect 0 compare net.onnx q.onnx --data calib.npy
expect 0 compare net.onnx q.onnx --data calib.npy --json
is_json out
keys out output.sqnr_db output.cosine output.max_abs layers.name layers.op layers.local_db layers.accumulated_db \
    layers.merged layers.cosine layers.max_abs layers.weights_db layers.output_db layers.gain_db layers.cause layers.why \
    layers.remedy layers.remedy_db effect_samples
expect 0 compare net.onnx q.onnx --data calib.npy --no-effects
refused 3 "node 'pool': the networks do not match.*of this node's name" compare renamed.onnx q.onnx --data calib.npy
refused 3 "node 'pool': the networks do not match.*another operator" compare other.onnx q.onnx --data calib.npy
expect 0 run q.onnx calib.npy --limit 2 --top 2 --labels names.txt
[ "$(grep -c -e zero -e one -e two -e three out)" = 4 ] || fail 'run --top 2 on two samples: not four named classes'
expect 0 run net.onnx calib.npy -o y.npy
[ "$(head -c 6 y.npy | tail -c 5)" = NUMPY ] || fail 'run -o: not an npy file'
has y.npy '(16, 4,)'
expect 0 run net.onnx calib.npy -o y.npz
python3 - <<'PY' || fail 'run -o y.npz: not a zip of the same array'
import zipfile
z = zipfile.ZipFile("y.npz")
assert z.testzip() is None and z.namelist() == ["y.npy"] and z.read("y.npy") == open("y.npy", "rb").read()
PY
expect 4 eval q.onnx --data calib.npy --reference y.npy --baseline net.onnx --metric mse --max-drop 0 --json=gate.json
has out 'NOT MET'
keys gate.json drop passed psnr_db
expect 0 doctor --limits
has out '^self-test *passed'
has out 'max-pixels'
expect 0 doctor --json
is_json out
expect 0 quantize net.onnx --data calib.npy -n -o never.onnx
[ ! -e never.onnx ] || fail 'a dry run wrote'

# ---- tune ----
set -- tune net.onnx --data calib.npy --val calib.npy --bench-time 0.02
expect 0 "$@" --val-labels labels.txt --max-drop 100% --frontier tuned.svg --json=tuned.json -o tuned.onnx
has out '^budget met'
has out '^> the result'
has tuned.svg '<svg '
is_json tuned.json
keys tuned.json trials.method trials.latency metric max_drop best passed resumed journal xxh3_128 nodes.int8
python3 - <<'PY' || fail 'tune: values'
import json, xml.dom.minidom
result = json.load(open("tuned.json"))
lines = [json.loads(line) for line in open("tuned.onnx.tune.jsonl")]
assert result["passed"] and result["metric"] == "top1" and result["max_drop"] == 100 and result["resumed"] == 0
assert [line["score"] for line in lines if line["kind"] == "trial"] == [trial["score"] for trial in result["trials"]]
best = result["trials"][result["best"] - 1]
assert best["meets"] and best["frontier"] and not best["float_layers"] and best["latency"] == 1
xml.dom.minidom.parse("tuned.svg")
PY
expect 0 "$@" --val-labels labels.txt --max-drop 100% -f -o tuned.onnx
has out 'of these [1-9][0-9]* from the journal'
expect 0 "$@" --min-sqnr 60 --method minmax --ranges-only -o sharp.onnx --json=tuned2.json
has out '^float layers'
has out 'minmax, [1-3] float'
python3 - <<'PY' || fail 'tune: the result is not what the trial was'
import json
result = json.load(open("tuned2.json"))
best = result["trials"][result["best"] - 1]
assert best["sqnr_db"] is None or best["sqnr_db"] >= 60
assert set(best["float_layers"]) <= {node["name"] for node in result["float_nodes"]}
PY
expect 4 "$@" --min-sqnr 900 --trials 2 -o none.onnx
has out 'budget NOT MET'
has out 'stopped before its end'
[ ! -e none.onnx ] && [ -s none.onnx.tune.jsonl ] || fail 'tune: an output without a result, or no journal'
expect 0 "$@" --max-drop 1 --dry-run
refused 2 "'--output FILE' is missing" "$@" --max-drop 1
refused 2 'a budget is missing' "$@" -o n.onnx
refused 2 'contradict' "$@" -o n.onnx --max-drop 1 --min-sqnr 20
refused 2 'belong together' "$@" -o n.onnx --max-drop 1 --metric sqnr
refused 2 'belong together' "$@" -o n.onnx --min-sqnr 20 --metric agreement
refused 2 "max-drop: not a loss (got 'x'" "$@" -o n.onnx --max-drop x
refused 2 "'--val PATH' is missing" tune net.onnx --data calib.npy --max-drop 1 -o n.onnx
refused 2 'needs labels' "$@" -o n.onnx --max-drop 1 --metric top1
refused 2 'name the same file' "$@" -o n.onnx --max-drop 1 --journal n.onnx
refused 2 'same file as an input' "$@" -o n.onnx --max-drop 1 --journal calib.npy
refused 1 'exists already' "$@" -o n.onnx --max-drop 1 --frontier tuned.svg
refused 1 'exists already' "$@" -o tuned.onnx --max-drop 1
refused 2 'is quantized' tune tuned.onnx --data calib.npy --val calib.npy --max-drop 1 -o n.onnx
refused 3 'journal of another options' "$@" --val-labels labels.txt --per-tensor -o n.onnx --max-drop 1 --journal tuned.onnx.tune.jsonl
refused 3 'names.txt: not a' "$@" -o n.onnx --max-drop 1 --journal names.txt
refused 3 'names.txt: not a' "$@" -o n.onnx --max-drop 1 --journal names.txt --restart
refused 3 'missing.npy' "$@" -o n.onnx --max-drop 1 --val missing.npy
[ ! -e n.onnx ] || fail 'tune: a refused search wrote'

# ---- qat ----
expect 0 qat net.onnx --data calib.npy --labels labels.txt --dry-run --json
is_json out
keys out dry_run samples epochs steps batch parameters memory_bytes
python3 - <<'PY' || fail 'qat --dry-run --json: values'
import json
d = json.load(open("out"))
assert d["samples"] == 16 and d["batch"] == 16 and d["epochs"] == 1 and d["steps"] == 1 and d["memory_bytes"] > 0
PY
expect 0 qat net.onnx --data calib.npy --labels labels.txt --batch 3 --epochs 4 -n -o never.onnx
has out '16 samples, 4 epochs, batches of 3: 20 steps'
[ ! -e never.onnx ] && [ ! -e never.onnx.ckpt ] || fail 'qat: a dry run wrote'
set -- qat norm.onnx --data calib.npy --labels labels.txt --val calib.npy --val-labels labels.txt --test calib.npy \
    --test-labels labels.txt --epochs 4 --batch 4 --lr 0.05 --momentum 0.9 --weights s4 --flip --random-crop 1
expect 0 "$@" -o qat.onnx --log qat.jsonl --json=qat.json
has out '^trained '
[ ! -e qat.onnx.ckpt ] || fail 'qat: the checkpoint is left'
is_json qat.json
keys qat.json validation.float.top1 validation.start.top1 validation.trained.top1 test.trained.top1 metric steps resumed \
    nodes.int8 xxh3_128 seconds peak_rss_bytes
expect 0 eval qat.onnx --data calib.npy --labels labels.txt --json
python3 - <<'PY' || fail 'qat: values'
import json
result, scores = json.load(open("qat.json")), json.load(open("out"))
log = [json.loads(line) for line in open("qat.jsonl")]
assert [e["event"] for e in log] == ["start", "epoch"] + (["step"] * 4 + ["epoch"]) * 4 + ["end"]
assert log[0]["resumed"] == 0 and log[0]["steps"] == 16 and log[0]["options"]["train"]["epochs"] == 4
assert [e["step"] for e in log if e["event"] == "step"] == list(range(1, 17)) and log[17]["integer"]
epochs = [e for e in log if e["event"] == "epoch"]
best = max(e["validation"]["top1"] for e in epochs)
assert result["validation"]["trained"]["top1"] == best == scores["top1"] == result["test"]["trained"]["top1"]
assert result["resumed"] == 0 and result["steps"] == 16 and log[-1]["xxh3_128"] == result["xxh3_128"]
PY
expect 0 "$@" -o again.onnx --threads 1 --restart
cmp -s qat.onnx again.onnx || fail 'qat: other bytes with one thread'
expect 0 qat qat.onnx --data calib.npy --labels labels.txt --batch 4 -q -o more.onnx
expect 0 qat norm.onnx --data calib.npy --val calib.npy --distill --lsq --batch 4 -q -o distilled.onnx --json=d.json
keys d.json validation.trained.sqnr_db
set -- qat norm.onnx --data calib.npy --reference y.npy --loss mse --batch 4
refused 1 'step [0-9]*: ' "$@" --lr 100 --epochs 100 -o nan.onnx --checkpoint-steps 5
has err 'node '
[ -s nan.onnx.ckpt ] && [ ! -e nan.onnx ] || fail 'qat: a loss that is none left no checkpoint, or an output'
refused 2 "made with 'learning_rate" "$@" -o nan.onnx
has err 'hint: --restart'
refused 2 "'--output FILE' is missing" qat net.onnx --data calib.npy --labels labels.txt
refused 1 'exists already' qat net.onnx --data calib.npy --labels labels.txt -o q.onnx
refused 2 'same file as an input' qat net.onnx --data calib.npy -f -o net.onnx
refused 2 'same file' qat net.onnx --data calib.npy -o n.onnx --log n.onnx
refused 1 'no log of octet' qat net.onnx --data calib.npy --labels labels.txt -o n.onnx --log names.txt
refused 2 'same file as an input' qat net.onnx --data calib.npy --labels labels.txt -o n.onnx --log labels.txt
refused 2 "unknown word (got 's9'" qat net.onnx --data calib.npy -o n.onnx --weights s9
refused 2 'leave nothing to quantize' qat net.onnx --data calib.npy -o n.onnx --weights f32 --activations f32
refused 2 "freeze-observers: not an epoch (got 'soon'" qat net.onnx --data calib.npy -o n.onnx --freeze-observers soon
refused 2 'contradict' qat net.onnx --data calib.npy -o n.onnx --distill --loss mse
refused 2 'contradict' qat net.onnx --data calib.npy -o n.onnx --val calib.npy --val-every 2 --val-skip-every 2
refused 2 'patience needs --val' qat net.onnx --data calib.npy -o n.onnx --patience 2
refused 2 'needs --baseline' qat q.onnx --data calib.npy -o n.onnx --distill
refused 2 'is quantized' qat q.onnx --data calib.npy -o n.onnx --distill --baseline q.onnx
refused 2 'data has 16 samples (need a batch of 17)' qat net.onnx --data calib.npy --labels labels.txt --batch 17 -n
refused 2 'by top1 needs labels' qat net.onnx --data calib.npy --labels labels.txt --val calib.npy --metric top1 -n
refused 3 'calib.npy: no labels' qat net.onnx --data calib.npy -o n.onnx
refused 3 'missing.npy' qat net.onnx --data calib.npy --labels labels.txt --val missing.npy -o n.onnx
sed '3s/.*/4/' labels.txt >beyond.txt
refused 3 'line 3: class 4 is out of range' qat net.onnx --data calib.npy --labels beyond.txt -n

# ---- report (what the page shows: tests/report/test_page.py) ----
expect 0 report net.onnx q.onnx --data calib.npy --untimed -o page.html --json=page.json
has out '^output  *SQNR'
keys page.json float quantized samples layers comparison.sqnr_db time_ratio file_bytes
has page.html '^<!doctype html>'
cp page.html page.before
refused 1 'exists' report net.onnx q.onnx --data missing.npy --untimed -o page.html # before it looks at the data
cmp -s page.html page.before || fail 'report: an existing page was touched'
expect 0 report net.onnx q.onnx --data calib.npy --untimed -f --title 'another' -o page.html
cmp -s page.html page.before && fail 'report -f: the page was not replaced'
refused 2 "'--output FILE' is missing" report net.onnx q.onnx --data calib.npy
refused 2 'files only' report net.onnx q.onnx --data calib.npy -o -
refused 2 'same file as an input' report net.onnx q.onnx --data calib.npy -f -o q.onnx
refused 2 'not quantized' report net.onnx net.onnx --data calib.npy -o other.html
refused 2 'contradict' report net.onnx q.onnx --data calib.npy --untimed --seconds 1 -o other.html
refused 3 'missing.npy' report net.onnx q.onnx --data missing.npy -o other.html
[ ! -e other.html ] || fail 'report: a refused report left a page'

# ---- bench ----
expect 0 bench q.onnx --baseline net.onnx --layers --runs 3 --json
is_json out
keys out engine threads batch ms.min ms.median ms.p99 ms.mad images_per_second engines.engine engines.ms.median \
    engines.images_per_second layers.name layers.op layers.engine layers.us layers.macs layers.baseline_us \
    baseline.engine baseline.ms.median baseline.images_per_second ratio load_ms plan_ms workspace_bytes warnings
python3 - <<'PY' || fail 'bench --json: values'
import json
d = json.load(open("out"))
assert d["runs"] == 3 and d["batch"] == 1 and d["inputs"] == 8
assert 0 < d["ms"]["min"] <= d["ms"]["median"] <= d["ms"]["p99"]
assert d["engines"][0]["engine"] == d["engine"] and d["engines"][0]["ms"] == d["ms"]
assert [e["baseline"] for e in d["engines"]].count(True) == 1
assert abs(sum(l["share"] for l in d["layers"]) - 1) < 1e-9
conv = [l for l in d["layers"] if l["name"] == "conv"][0]
assert conv["macs"] > 0 and conv["baseline_us"] > 0 and not conv["conversion"]
PY
expect 0 bench net.onnx --engine reference --data calib.npy --batch 4 --seconds 0.01 --layers
has out '^reference '
has out 'batch 4'
has out '^conv .* Conv '
expect 0 bench net.onnx -q --runs 1 --json=bench.json
[ ! -s out ] || fail 'bench -q printed'
keys bench.json ms.median
refused 2 'contradict' bench net.onnx --runs 3 --seconds 1
refused 2 'not a whole number' bench net.onnx --batch 0
refused 2 "engine 'steam' is not in this build" bench net.onnx --engine steam
refused 2 'too few operands' bench
refused 3 'missing.onnx' bench net.onnx --baseline missing.onnx

# ---- ending before the file does ----
expect 0 inspect net.onnx --end-at c
has out '^outputs     c f32'
expect 0 quantize net.onnx --data calib.npy --end-at c -f -o ends.onnx
expect 0 compare net.onnx ends.onnx --data calib.npy --end-at c
refused 2 "no node makes a value named 'nowhere'" quantize net.onnx --data calib.npy --end-at c,nowhere -o n.onnx
refused 2 'empty name' inspect net.onnx --end-at c,

# ---- PyTorch's qconfigs by name ----
for name in fbgemm x86 qnnpack onednn symmetric_qnnpack default_per_channel_qconfig; do
    expect 0 quantize net.onnx --data calib.npy -f -o named.onnx --qconfig "$name" --batch 4
    has out 'output SQNR'
done
expect 0 quantize net.onnx --data calib.npy -f -o named.onnx --qconfig fbgemm --target torch-1.13
has out 'method histogram'
expect 0 quantize net.onnx --data calib.npy -f -o named.onnx --method entropy
expect 0 quantize net.onnx --data calib.npy -f -o named.onnx --symmetric
expect 0 quantize net.onnx --data calib.npy -f -o symmetric.onnx --symmetric --activations s8
expect 0 diff named.onnx symmetric.onnx --data calib.npy
has out '^y .* equal'
refused 2 'needs signed' quantize net.onnx --data calib.npy -o n.onnx --symmetric --activations u8
refused 2 'unknown name' quantize net.onnx --data calib.npy -o n.onnx --qconfig magic
refused 2 'recording' quantize net.onnx --data calib.npy -o n.onnx --qconfig default_debug

# ---- diff ----
expect 0 quantize net.onnx --data calib.npy --method minmax --per-tensor -o tensor.onnx
expect 0 quantize net.onnx --data calib.npy --method minmax --per-channel -o channel.onnx
expect 0 quantize net.onnx --data calib.npy --weights s4 --activations u6 -o low.onnx
expect 0 run low.onnx calib.npy --limit 2
expect 0 quantize net.onnx --data calib.npy --activations f32 -o weights.onnx
refused 2 'unknown word' quantize net.onnx --data calib.npy --weights s9 -o n.onnx
expect 0 diff tensor.onnx channel.onnx --data calib.npy --json
is_json out
keys out a b samples accumulated.histogram.0 accumulated.max accumulated.worst values.name values.op \
    values.accumulated outputs.name outputs.accumulated.max_abs
python3 - <<'PY' || fail 'diff --json: values'
import json
d = json.load(open("out"))
assert d["samples"] == 16 and d["accumulated"]["max"] > 0
sums = {}
for v in d["values"]:
    if v["accumulated"] and v["accumulated"]["levels"]:
        t = v["accumulated"]
        assert sum(t["histogram"].values()) == t["count"] and t["count"] - t["histogram"]["0"] == t["differing"]
        for k, n in t["histogram"].items(): sums[k] = sums.get(k, 0) + n
assert sums == d["accumulated"]["histogram"]
PY
expect 4 diff tensor.onnx channel.onnx --data calib.npy --max-levels 0
has out 'max-levels NOT MET'
expect 0 diff tensor.onnx channel.onnx --data calib.npy --max-levels 255 --json
has out '"passed": true'
expect 0 diff q.onnx --engine reference --max-levels 0 --max-local 0 --limit 3 --json
keys out as_deployed local.histogram local.max not_fed values.local max_local max_levels
has out '"samples": 3'
expect 0 diff q.onnx --all
has out '^levels apart when fed the same'
expect 0 diff net.onnx q.onnx
has out 'SQNR'
expect 0 diff q.onnx --seed 4 --json=one.json
expect 0 diff q.onnx --seed 4 -f --json=two.json
cmp -s one.json two.json || fail 'diff: the same seed, other results'
expect 0 run net.onnx calib.npy -f -o y.npz
expect 0 diff net.onnx --recorded y.npz --data calib.npy --json
is_json out
python3 - <<'PY' || fail 'diff --recorded: equal outputs'
import json
d = json.load(open("out"))
assert d["against"] == "recorded" and len(d["values"]) == 1 and d["values"][0]["accumulated"]["differing"] == 0
PY
python3 - <<'PY' || fail 'diff --recorded: cannot write the changed arrays'
import struct, zipfile
z = zipfile.ZipFile("y.npz")
name = z.namelist()[0]
raw = bytearray(z.read(name))
raw[-4:] = struct.pack("<f", struct.unpack("<f", raw[-4:])[0] + 1)
with zipfile.ZipFile("changed.npz", "w", zipfile.ZIP_DEFLATED) as out:
    out.writestr(name, bytes(raw))
    out.writestr("nobody.npy", bytes(raw))
PY
expect 0 diff net.onnx --recorded changed.npz --data calib.npy
has out '^nobody .*no value or node'
has out 'largest 1,'
refused 2 'needs one MODEL and --data' diff net.onnx --recorded changed.npz
refused 3 'missing.npz' diff net.onnx --recorded missing.npz --data calib.npy
refused 2 'no value that both keep' diff net.onnx q.onnx --max-levels 3
refused 2 'max-local needs one MODEL' diff tensor.onnx channel.onnx --max-local 1
refused 2 "engine 'steam' is not in this build" diff q.onnx --engine steam
refused 2 'unexpected operand' diff a b c
refused 3 'missing.npy' diff q.onnx --data missing.npy

# ---- engines by name ----
for verb in 'eval q.onnx --data calib.npy' 'compare net.onnx q.onnx --data calib.npy' 'run q.onnx calib.npy'; do
    # the words of a command
    # shellcheck disable=SC2086
    expect 0 $verb --engine reference
    # shellcheck disable=SC2086
    refused 2 "engine 'steam' is not in this build" $verb --engine steam
done

# ---- options that files carry ----
cat >good.json <<'JSON'
{"format": "octet-config", "version": 1, "calibration": {"method": "percentile", "percentile": 99.9},
 "layers": [{"match": "fc", "keep_float": true}]}
JSON
expect 0 quantize net.onnx --data calib.npy --config good.json -o fc.onnx --json
python3 - <<'PY' || fail 'quantize --config: the layer did not stay float'
import json
d = json.load(open("out"))
assert d["method"] == "percentile" and "fc" in [n["name"] for n in d["float_nodes"]] and all(n["why"] for n in d["float_nodes"])
PY
refused 2 'matches no node' quantize net.onnx --data calib.npy --layer 'nosuch*=float' -o n.onnx
expect 0 quantize --print-config --config good.json --limit 3
is_json out
echo '{"format": "octet-config", "version": 1, "format": 2}' >bad.json
refused 3 'bad.json: 1:.*duplicate' quantize net.onnx --data calib.npy --config bad.json -o n.onnx

# ---- inputs that are none (scenarios fs-*) ----
mkfifo pipe
ln -s net.onnx link.onnx
ln net.onnx hard.onnx
mkdir folder
refused 3 'not a regular file' inspect pipe
refused 3 'not a regular file' quantize /dev/zero --data calib.npy -o n.onnx
refused 3 'folder' inspect folder
refused 3 'missing.onnx: .*No such file' inspect missing.onnx
refused 3 'missing.npy' quantize net.onnx --data missing.npy -o n.onnx
refused 3 'No such file' quantize net.onnx --data calib.npy --config missing.json -o n.onnx
if [ "$(id -u)" != 0 ]; then
    cp net.onnx secret.onnx
    chmod 0 secret.onnx
    refused 3 'secret.onnx: .*Permission denied' inspect secret.onnx
fi

# ---- outputs that must stay whole ----
for output in net.onnx ./net.onnx link.onnx hard.onnx; do
    refused 2 'same file as an input' quantize net.onnx --data calib.npy -f -o "$output"
done
refused 2 'same file as an input' quantize net.onnx --data calib.npy -f -o calib.npy
refused 2 'same file as an input' inspect net.onnx -f --json=net.onnx
refused 2 'same file' quantize net.onnx --data calib.npy -o a.onnx --json=a.onnx
cmp -s net.onnx reference.onnx || fail 'the input changed'
refused 1 'exists already' quantize net.onnx --data calib.npy -o q.onnx
refused 1 'exists already' inspect net.onnx --json=q.json
refused 1 'directory' quantize net.onnx --data calib.npy -f -o folder
refused 1 'No such file' quantize net.onnx --data calib.npy -o no/such/q.onnx
refused 1 'No space left' quantize net.onnx --data calib.npy -q -o /dev/full
mkdir readonly
chmod 500 readonly
[ "$(id -u)" = 0 ] || refused 1 'Permission denied' quantize net.onnx --data calib.npy -o readonly/q.onnx
cp q.onnx before.onnx
(
    ulimit -f 2 # blocks of 512 bytes; clang's OpenMP needs a shared file of 1024 itself
    timeout 60 "$octet" quantize net.onnx --data calib.npy -q -f -o q.onnx --weights s8 >out 2>err
    echo $? >code
)
[ "$(cat code)" = 1 ] || [ "$(wc -c <before.onnx)" -lt 1024 ] || fail 'a file-size limit was not noticed'
cmp -s q.onnx before.onnx || [ "$(cat code)" = 0 ] || fail 'a failed write changed the old output'
no_leftovers 'after failed writes'
"$octet" quantize net.onnx --data calib.npy -q -f -o both.onnx &
"$octet" quantize net.onnx --data calib.npy -q -f -o both.onnx
wait
cmp -s both.onnx before.onnx || fail 'two writers at once left neither result'

# ---- limits and signals ----
refused 5 'max-nodes' inspect net.onnx --max-nodes 2
refused 5 'max-memory' run net.onnx calib.npy --max-memory 1k
refused 5 'timeout' quantize net.onnx --data calib.npy --timeout 0.001 -o t.onnx
[ ! -e t.onnx ] || fail 'a timeout left an output'
expect 0 run net.onnx calib.npy
"$octet" run net.onnx calib.npy 2>err | head -n 1 >/dev/null
[ ! -s err ] || fail 'a closed pipe is worth no words'
for _ in $(seq 300); do cat calib.npy; done >/dev/null
for pair in INT:130 TERM:143; do
    for delay in 0.002 0.005 0.01 0.02 0.05; do
        rm -f s.onnx
        checks=$((checks + 1))
        timeout -s "${pair%:*}" --preserve-status "$delay" "$octet" quantize net.onnx --data calib.npy -q -o s.onnx 2>err
        code=$?
        case $code in
        0) cmp -s s.onnx before.onnx || fail 'a finished run differs' ;;
        "${pair#*:}") [ ! -e s.onnx ] || cmp -s s.onnx before.onnx || fail 'a signal left half an output' ;;
        *) [ $code -gt 128 ] && [ "$delay" = 0.002 ] || fail "SIG${pair%:*}: exit $code" ;;
        esac
    done
done
no_leftovers 'after signals'

# ---- manners ----
expect 0 eval net.onnx --data calib.npy --labels labels.txt
! LC_ALL=C tr -d '\n' <err | LC_ALL=C grep -q '[[:cntrl:]]' || fail 'escape codes without a terminal'
expect 0 quantize net.onnx --data calib.npy -q -f -o quiet.onnx --progress=json
has err '"phase"'
name=$(printf 'a b\n"\303\251.onnx')
cp net.onnx "$name"
expect 0 inspect "$name"
refused 3 'onnx' inspect "$name.missing"
cp net.onnx ./-dash.onnx
expect 0 inspect -- -dash.onnx
LC_ALL=xx_YY "$octet" inspect net.onnx >out 2>err || fail 'an unknown locale'
"$octet" inspect net.onnx >/dev/full 2>err
[ $? = 1 ] && has err 'standard output' || fail 'a full disk under stdout'

# ---- documents made from the tables ----
expect 0 help --markdown
cmp -s out "$source/docs/cli.md" || fail 'docs/cli.md is not current: octet help --markdown > docs/cli.md'

echo "$checks checks, $failures failed"
[ "$failures" = 0 ]

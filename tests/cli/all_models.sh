#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# all_models.sh OCTET [SHARED] [PATTERN] [LIMIT]: the whole story (inspect, quantize, eval with a gate, compare, run) on every
# real model, with its own data and splits (evaluation on at most LIMIT samples); prints a table. SHARED holds models/ and data/; default $OCTET_SHARED, else
# ../shared beside the source. Says SKIPPED and exits 77 if it is absent.
octet=$(realpath "$1")
shared=${2:-${OCTET_SHARED:-$(dirname "$0")/../../../shared}}
pattern=${3:-.}
limit=$4
if [ ! -d "$shared/models" ]; then
    echo "SKIPPED: no models in $shared (set OCTET_SHARED)"
    exit 77
fi
shared=$(realpath "$shared")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
d=$shared/data
cifar="$d/cifar10/data_batch_1.bin.gz --limit 128"
imagenet=$d/imagenet500

# model | calibration data and recipe | evaluation data | gate | input of run
cat >table <<TABLE
resnet20_cifar10_jpegft|$cifar --preprocess imagenet|$d/cifar10/test5k.bin.gz|0.2|$d/cifar10/test5k.bin.gz --limit 1
resnet20_cifar10|$cifar --preprocess imagenet|$d/cifar10/test5k.bin.gz|0.1|$d/cifar10/test5k.bin.gz --limit 1
resnet20_cifar10_natural|$cifar --preprocess imagenet|$d/cifar10/test5k.bin.gz|0.1|$d/cifar10/test5k.bin.gz --limit 1
resnet8_cifar10|$cifar --preprocess none|$d/cifar10/test5k.bin.gz|0.3|$d/cifar10/test5k.bin.gz --limit 1
resnet8_cifar10_nhwc|$cifar --preprocess none|$d/cifar10/test5k.bin.gz|0.3|$d/cifar10/test5k.bin.gz --limit 1
mobilenetv2_1.0_224|$imagenet --every 4 --preprocess imagenet|$imagenet --skip-every 4|0.6|$imagenet/n01440764
mobilenetv1_0.75_224|$imagenet --every 4 --preprocess tf|$imagenet --skip-every 4|0.8|$imagenet/n01440764
lenet_mnist|$d/mnist/train10k-images-idx3-ubyte.gz --limit 128 --preprocess none --scale 1/256|$d/mnist/t10k-images-idx3-ubyte.gz|0.05|$d/mnist/t10k-images-idx3-ubyte.gz --limit 1
kws_dscnn|$d/kws/kws_x.npy --every 8|$d/kws/kws_x.npy --skip-every 8 --labels $d/kws/kws_y.npy|0.2|$d/kws/kws_x.npy --limit 1
vww_mobilenetv1|$d/vww/vww_x_uint8_nhwc.npy --layout nhwc --every 3 --preprocess unit|$d/vww/vww_x_uint8_nhwc.npy --layout nhwc --skip-every 3 --labels $d/vww/vww_y.npy|0|$d/vww/vww_x_uint8_nhwc.npy --layout nhwc --limit 1
ad01_autoencoder|$d/ad/ad_normal_id_01_x.npy --every 4|$d/ad/ad_normal_id_01_x.npy --skip-every 4|0.021|$d/ad/ad_normal_id_01_x.npy --limit 1
sww_dscnn1d|$d/sww/sww_x.npy --every 3|$d/sww/sww_x.npy --skip-every 3 --labels $d/sww/sww_y.npy|0|$d/sww/sww_x.npy --limit 1
super_resolution_x3|$d/sr/sr_lo_y_uint8.npy --every 3 --preprocess unit|$d/sr/sr_lo_y_uint8.npy --skip-every 3 --reference $d/sr/sr_hi_y_uint8.npy --border 6|1.08|$d/sr/sr_lo_y_uint8.npy --limit 1
fastestdet_coco|$imagenet --every 4 --size 352x352 --scale 1/255 --color bgr|$imagenet --every 8 --skip 1||$d/coco_images/dog.jpg
TABLE

failures=0
step() { # step NAME COMMAND...
    name=$1
    shift
    "$@" >out 2>err || {
        code=$?
        failures=$((failures + 1))
        printf 'FAILED (exit %s): %s: %s\n' $code "$name" "$(tail -n 1 err)"
        [ $code = 4 ] && grep '^gate' out
    }
}
number() { # number FILE KEY.KEY: a figure of a JSON document
    python3 -c 'import json, sys
at = json.load(open(sys.argv[1]))
for key in sys.argv[2].split("."): at = at[key]
print("%.4g" % at if at is not None else "-")' "$1" "$2" 2>/dev/null || echo '?'
}

printf '%-26s %9s %9s %9s %9s %7s %7s\n' model float int8 drop 'SQNR dB' float-n seconds
while IFS='|' read -r model calibration evaluation gate input; do
    echo "$model" | grep -qEe "$pattern" || continue
    float=$shared/models/$model.onnx
    rm -f q.onnx ./*.json
    # the options of a row are words
    # shellcheck disable=SC2086
    {
        step "$model inspect" "$octet" inspect "$float" --json=inspect.json
        step "$model quantize" "$octet" quantize "$float" --data $calibration -o q.onnx --json=quantize.json
        [ -s q.onnx ] || continue
        step "$model eval" "$octet" eval q.onnx --data $evaluation ${limit:+--limit $limit} --baseline "$float" ${gate:+--max-drop $gate} --json=eval.json
        [ -e eval.json ] || continue
        step "$model compare" "$octet" compare "$float" q.onnx --data $calibration --limit 4 --json=compare.json
        step "$model run" "$octet" run q.onnx $input
    }
    metric=$(python3 -c 'import json; print({"mse": "mse", "psnr": "psnr_db", "sqnr": "sqnr_db"}.get(*[json.load(open("eval.json"))["metric"]] * 2))')
    printf '%-26s %9s %9s %9s %9s %7s %7s\n' "$model" "$(number eval.json "baseline.$metric")" "$(number eval.json "$metric")" \
        "$(number eval.json drop)" "$(number eval.json sqnr_db)" "$(number quantize.json nodes.float)" "$(number quantize.json seconds)"
done <table
echo "$failures failed"
[ "$failures" = 0 ]

# SPDX-License-Identifier: Apache-2.0
"""What bench/speed prints and writes: speed.md, speed.json, speed.svg."""
import datetime, json, os, platform

from speed_models import CONTESTS

SETS = ('avx2', 'avx_vnni', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_tile', 'amx_int8', 'amx_bf16', 'asimddp', 'i8mm')
ENGINES = [f'{tool} {kind}' for kind in ('int8', 'float') for tool in ('octet', 'ort', 'openvino')]
NAMES = {'octet': 'octet', 'ort': 'ONNX Runtime', 'openvino': 'OpenVINO'}
RESTLESS = 0.02  # share of a turn that engines who should sleep may use


def machine(versions):
    with open('/proc/cpuinfo') as info:
        lines = dict(map(str.strip, line.split(':', 1)) for line in info if ':' in line)
    flags = lines.get('flags', lines.get('Features', '')).split()
    return {'cpu': lines.get('model name', platform.machine()), 'family': lines.get('cpu family'),
            'model': lines.get('model'), 'cores': len(os.sched_getaffinity(0)), 'sets': [s for s in SETS if s in flags],
            'system': platform.release(), 'load': round(os.getloadavg()[0], 1), 'versions': versions,
            'date': datetime.date.today().isoformat()}


# ---- one row ----

def case_of(row):
    return (f'{row["model"]}, batch {row["batch"]}, {row["threads"]} thread{"s" if row["threads"] > 1 else ""}'
            f'{", no AMX" if row["only_vnni"] else ""}')


def ms(row, engine):
    found = row['engines'].get(engine, {})
    return f'{1e3 * found["median"]:.4g}' if 'median' in found else '-'


def ratio_text(ratio):
    return '-' if ratio is None else f'{ratio:.2f}'


def kept(row):
    return row.get('promise') is None or (row.get('ratio') or 0) <= row['promise']


def show(row):
    cells = ', '.join(f'{engine} {ms(row, engine)}' for engine in ENGINES if engine in row['engines'])
    print(f'  {case_of(row)}: {cells} ms; octet / {row.get("best_peer", "-")} {ratio_text(row.get("ratio"))}'
          f' (fastest runs {ratio_text(row.get("ratio_of_fastest"))}){"" if kept(row) else "  BROKEN"}', flush=True)
    for text in complaints(row):
        print(f'    {text}', flush=True)


def complaints(row):
    for engine, found in row['engines'].items():
        if 'failed' in found:
            yield f'{case_of(row)}: {engine}: {found["failed"]}'
        if found.get('changed'):
            yield f'{case_of(row)}: {engine}: {found["changed"]} of {found["runs"]} runs gave other outputs than before'
        if found.get('stolen', 0) > RESTLESS:
            yield f'{case_of(row)}: {engine}: others used {found["stolen"]:.0%} of one of its turns'


def broken(results):
    """A promise that was not kept, an octet that failed or is not the same twice."""
    for row in results['rows']:
        if not kept(row):
            yield f'{case_of(row)}: {row["ratio"]:.2f} of {row["best_peer"]}, promised {row["promise"]:.2f}'
        for engine, found in row['engines'].items():
            if engine.startswith('octet') and ('failed' in found or found.get('changed')):
                yield f'{case_of(row)}: {engine}: {found.get("failed") or "outputs change from run to run"}'


# ---- Markdown ----

def table(heads, rows):
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in [heads, ['---'] * len(heads), *rows])


def latency_rows(results):
    for row in results['rows']:
        promise = row.get('promise')
        yield [row['model'], str(row['batch']), str(row['threads']) + (' (no AMX)' if row['only_vnni'] else ''),
               *(ms(row, f'{tool} int8') for tool in NAMES), ratio_text(row.get('ratio')),
               '-' if promise is None else f'{promise:.2f}{"" if kept(row) else " (broken)"}', rate(row),
               *(ms(row, f'{tool} float') for tool in NAMES), ratio_text(row['float'].get('ratio'))]


def rate(row):
    """Samples a second of octet and of the best peer."""
    def of(engine):
        found = row['engines'].get(engine, {})
        return f'{row["batch"] / found["median"]:.4g}' if 'median' in found else '-'
    return f'{of("octet int8")} / {of(row.get("best_peer"))}'


def spread_rows(results):
    classify = {c.name for c in CONTESTS if c.model.metric == 'top1'}
    for row in results['rows']:
        for engine, found in row['engines'].items():
            if 'median' in found:
                sqnr = found.get('sqnr_db')
                yield [row['model'], str(row['batch']), str(row['threads']) + (' (no AMX)' if row['only_vnni'] else ''),
                       engine, *(f'{1e3 * found[key]:.4g}' for key in ('median', 'min', 'p99')), str(found['runs']),
                       f'{1e3 * found["load"]:.3g}', f'{1e3 * found["start"]:.3g}', f'{found["peak"] / 1e6:.0f}',
                       f'{(found["peak"] - found["before"]) / 1e6:.1f}', '-' if sqnr is None else f'{sqnr:.1f}',
                       f'{100 * found["agreement"]:.0f} %' if row['model'] in classify else '-']


def file_rows(results):
    for model, tools in results['quantize'].items():
        for tool, found in tools.items():
            if 'failed' in found:
                yield [model, tool, found['failed'], '-', '-']
            else:
                yield [model, tool, f'{found["seconds"]:.1f}' if 'seconds' in found else '-',
                       f'{found["peak"] / 1e6:.0f}' if 'peak' in found else '-', f'{found["size"] / 1e6:.2f}']


def markdown(results):
    m = results['machine']
    tools = ', '.join(f'{name} {version}' for name, version in m['versions'].items())
    problems = [text for row in results['rows'] for text in complaints(row)]
    return '\n'.join([
        '# Speed', '', '<!-- made by: bench/speed -->', '',
        f'{m["cpu"]} (family {m["family"]}, model {m["model"]}), {m["cores"]} cores, {" ".join(m["sets"])}; {tools}; '
        f'{m["date"]}; load average at the start {m["load"]}. Milliseconds are medians over all runs of '
        f'{results["rounds"]} rounds in which the engines took turns; a ratio is the median over rounds of octet\'s median '
        'by that of the best peer (the one with the smallest median). Input and output are float32 in memory.', '',
        table(['model', 'batch', 'threads', *(f'{n} int8, ms' for n in NAMES.values()), 'octet / best peer', 'promised',
               'samples/s, octet / best peer', *(f'{n} float, ms' for n in NAMES.values()), 'octet / best peer, float'],
              latency_rows(results)), '',
        '## Every engine', '',
        'load: from file to ready. start: from the start of the process (Python, the same for all) to the first output. '
        'peak: resident memory; grown: the part of it since before the network was loaded. SQNR and the share of samples '
        'with the same top class are against ONNX Runtime\'s float outputs, over the inputs that are timed.', '',
        table(['model', 'batch', 'threads', 'engine', 'median, ms', 'min', 'p99', 'runs', 'load, ms', 'start, ms',
               'peak, MB', 'grown, MB', 'SQNR, dB', 'same class'], spread_rows(results)), '',
        '## Quantizing', '',
        'Whole processes, from the float network and an array of calibration samples to the int8 network.', '',
        table(['model', 'tool', 'seconds', 'peak, MB', 'file, MB'], file_rows(results)), '',
        *(['## To be noted', '', *(f'* {text}' for text in problems), ''] if problems else [])])


# ---- SVG ----

STYLE = '''text { font: 13px sans-serif; fill: #24292f } .small { font-size: 11px; fill: #57606a }
.bar { fill: #2f81f7 } .rest { fill: #8c959f; opacity: .25 } .line { stroke: #57606a; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9198a1 } .line { stroke: #9198a1 } }'''
LEFT, WIDE, STEP, TOP = 220, 360, 34, 52  # names, a ratio of 1, a row, the title


def chart(results):
    """One bar for every network at batch 1 on the fewest threads: octet's time, the best peer's being 1."""
    threads = min((r['threads'] for r in results['rows']), default=1)
    rows = [r for r in results['rows'] if r['batch'] == 1 and r['threads'] == threads and not r['only_vnni']
            and r.get('ratio')]
    height, sets = TOP + STEP * len(rows) + 24, ' '.join(results['machine']['sets'])
    plural = 's' if threads > 1 else ''
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {height}" role="img" '
             'aria-label="time of octet as a share of the best peer">', f'<style>{STYLE}</style>',
             f'<text x="0" y="16">Time of int8 inference, the best peer = 1 (batch 1, {threads} thread{plural}; less is better)'
             '</text>', f'<text x="0" y="34" class="small">{results["machine"]["cpu"]}: {sets}</text>']
    for i, row in enumerate(rows):
        y, best, width = TOP + i * STEP, row['best_peer'], min(row['ratio'], 1.25) * WIDE
        lines += [f'<text x="{LEFT - 10}" y="{y + 16}" text-anchor="end">{row["model"]}</text>',
                  f'<rect x="{LEFT}" y="{y}" width="{WIDE}" height="22" class="rest"/>',
                  f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="22" class="bar"/>',
                  f'<text x="{LEFT + max(width, WIDE) + 8:.1f}" y="{y + 16}">{row["ratio"]:.2f}'
                  f'<tspan class="small" dx="8">{ms(row, "octet int8")} / {ms(row, best)} ms, {NAMES[best.split()[0]]}</tspan></text>']
    lines += [f'<line x1="{LEFT + WIDE}" x2="{LEFT + WIDE}" y1="{TOP - 6}" y2="{height - 22}" class="line"/>', '</svg>']
    return '\n'.join(lines) + '\n'


def write(results, folder, svg):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'speed.json').write_text(json.dumps(results, indent=1) + '\n')
    (folder / 'speed.md').write_text(markdown(results))
    svg.write_text(chart(results))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens pages of octet report in headless Chromium: what they show, how they behave, what they must not do.
Usage: test_page.py OCTET MAKE_MODEL MAKE_PAGE. Exit 77 where there is no Chromium; OCTET_NEED_CHROMIUM=1: exit 1."""
import array, itertools, json, math, os, pathlib, re, shlex, subprocess, sys, tempfile

import browser

failures = checks = 0


def check(holds, what):
    global checks, failures
    checks += 1
    if not holds:
        failures += 1
        print('FAILED:', what)


def run(*command, **keywords):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=300, **keywords).stdout


def rgb(text):
    """The color that CSS computed, "rgb(1, 2, 3)"."""
    return tuple(int(x) for x in re.findall(r'\d+', text)[:3])


def near(a, b, tolerance=12):
    return max(abs(x - y) for x, y in zip(a, b)) <= tolerance


def contrast(a, b):
    """WCAG 2.1's contrast ratio."""
    def light(color):
        return sum(w * ((c / 12.92) if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4)
                   for w, c in zip((0.2126, 0.7152, 0.0722), (x / 255 for x in color)))
    high, low = sorted((light(a), light(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# ---- the data in a page ----

def constant(name):
    raise ValueError(f'{name} is no JSON')


def embedded(path):
    """The document as any tool would cut it out of the file, not as the browser sees it."""
    text = pathlib.Path(path).read_text(encoding='utf-8')
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1),
                      parse_constant=constant)


def check_same(page, compared, where='compare'):
    """Whatever compare --json says, the page's document says too."""
    if isinstance(compared, dict):
        for key, value in compared.items():
            if where == 'compare' and key in ('verb', 'seconds', 'peak_rss_bytes'):
                continue
            check(key in page, f'{where}.{key} is not in the page')
            check_same(page.get(key), value, f'{where}.{key}')
    elif isinstance(compared, list):
        check(len(page) == len(compared), f'{where}: other length')
        for i, (a, b) in enumerate(zip(page, compared)):
            check_same(a, b, f'{where}[{i}]')
    else:
        check(page == compared, f'{where}: {page!r} in the page, {compared!r} compared')


# ---- what every page must do ----

def check_quiet(page, what):
    """No complaint, no request but that for the page itself, no script of a name."""
    for event in page.events():
        method, p = event['method'], event['params']
        if method == 'Network.requestWillBeSent':
            url = p['request']['url']
            check(url.startswith('file://') and p.get('type') == 'Document', f'{what}: asks for {url[:100]}')
        check(method not in ('Runtime.exceptionThrown', 'Runtime.consoleAPICalled', 'Log.entryAdded', 'Audits.issueAdded'),
              f'{what}: {method} {json.dumps(p)[:300]}')
    check(page.run('typeof window.hit') == 'undefined', f'{what}: a name ran as a script')


COLUMN = '''(key => [...document.querySelectorAll('#layers tbody tr.layer')].map(row =>
    row.cells[[...document.querySelectorAll('#layers thead th')].findIndex(th => th.dataset.key === key)].textContent))'''
NAMES = "[...document.querySelectorAll('#layers tbody tr.layer')].map(row => row.dataset.name)"


def check_sorting(page, data, key):
    """Numbers in order, unknown ones last; once more: the other way round."""
    header = f'#layers th[data-key="{key}"]'
    for _ in range(2):
        page.click(header + ' button')
        up = page.run(f"document.querySelector('{header}').getAttribute('aria-sort')")
        check(up in ('ascending', 'descending'), f'{key}: aria-sort is {up}')
        values = {l['name']: math.inf if key in l['equal'] else l[key] for l in data['layers']}
        got = [values[name] for name in page.run(NAMES)]
        numbers = [v for v in got if v is not None]
        check(got[len(numbers):] == [None] * (len(got) - len(numbers)), f'{key}: unknown ones are not last')
        check(numbers == sorted(numbers, reverse=up == 'descending'), f'{key}: not sorted {up}: {numbers}')
        check(sorted(page.run(NAMES)) == sorted(values), f'{key}: rows were lost')
        cells = [float(c.replace('\u2212', '-')) for c in page.run(f"{COLUMN}('{key}')") if c not in ('\u2013', 'equal')]
        check(all(abs(a - b) <= 0.051 or abs(a - b) <= 0.5 < 90 < a for a, b in zip(cells, filter(math.isfinite, numbers))),
              f'{key}: cells show other numbers')
    sides = page.run("[...document.querySelectorAll('#layers th[aria-sort]')].length")
    check(sides == 1, f'{sides} columns say they are sorted')


def check_filter(page, data):
    for words in ('conv', data['layers'][1]['name'], 'no such layer'):
        page.run(f"(f => {{ f.value = {json.dumps(words)}; f.dispatchEvent(new Event('input')); }})(document.getElementById('filter'))")
        page.settle()
        want = {l['name'] for l in data['layers']
                if all(w in ' '.join((l['name'], l['op'], l['cause'], l['merged'])).lower() for w in words.lower().split())}
        check(set(page.run(NAMES)) == want, f'filter {words!r}: {page.run(NAMES)}')
        said = page.run("document.getElementById('count').textContent")
        check(said.startswith(str(len(want))), f'filter {words!r}: says {said!r}, shows {len(want)}')
    page.run("(f => { f.value = ''; f.dispatchEvent(new Event('input')); })(document.getElementById('filter'))")
    op = data['layers'][0]['op']
    page.run(f"(f => {{ f.value = {json.dumps(op)}; f.dispatchEvent(new Event('input')); }})(document.getElementById('op'))")
    check(len(page.run(NAMES)) == sum(l['op'] == op for l in data['layers']), f'operator {op}')
    page.run("document.getElementById('controls').reset(); document.getElementById('filter').dispatchEvent(new Event('input'))")
    check(len(page.run(NAMES)) == len(data['layers']), 'rows do not come back')


def open_by_key(page, name):
    """Opens a row as one does without a mouse."""
    page.run(f"[...document.querySelectorAll('tr.layer')].find(r => r.dataset.name === {json.dumps(name)})"
             ".querySelector('.toggle').focus()")
    page.key('Enter', 13, '\r')
    page.settle()
    return page.run("document.activeElement.getAttribute('aria-expanded') === 'true' && "
                    "document.getElementById(document.activeElement.getAttribute('aria-controls')).offsetHeight > 100")


# ---- pictures ----

PLACE = '''(selector => { const r = document.querySelector(selector).getBoundingClientRect();
    return [r.x + scrollX, r.y + scrollY, r.width, r.height]; })'''


def check_histogram(page, selector, distribution, what):
    """The picture itself: lines at the range's ends and nowhere else, a bar where a bin holds something."""
    x, y, width, height = page.run(f'{PLACE}({json.dumps(selector + " .plot")})')
    color = {name: rgb(page.run(f'getComputedStyle(document.querySelector({json.dumps(selector)})).getPropertyValue("--{name}")'
                                '.trim().replace(/^#(..)(..)(..)$/, (_, r, g, b) => [r, g, b].map(h => parseInt(h, 16)).join())'))
             for name in ('range', 'int8', 'paper')}
    left, top = math.floor(x), math.floor(y)
    picture = page.screenshot(clip=(left, top, math.ceil(width) + 2, math.ceil(height) + 2))
    bins = distribution['bins']
    at = lambda v: x - left + (v - bins['lo']) / (bins['hi'] - bins['lo']) * width
    row = [picture.at(i, 2) for i in range(picture.width)]  # above the highest bar
    orange = [i for i, c in enumerate(row) if near(c, color['range'])]
    ends = [] if distribution['lo'] is None else [at(distribution['lo']), at(distribution['hi'])]
    for end in ends:
        check(any(abs(i + 0.5 - end) <= 1.5 for i in orange), f'{what}: no line at {end:.1f} of {width:.0f}: {orange}')
    for i in orange:
        check(any(abs(i + 0.5 - end) <= 2.5 for end in ends), f'{what}: a line at {i} that is no end of {ends}')
    low = math.floor(y + height) - top - 3
    for i, n in enumerate(bins['counts']):
        middle = int(x - left + (i + 0.5) / len(bins['counts']) * width)
        if any(abs(middle + 0.5 - end) < 4 for end in ends):
            continue
        center = bins['lo'] + (i + 0.5) * (bins['hi'] - bins['lo']) / len(bins['counts'])
        inside = distribution['lo'] is None or distribution['lo'] <= center <= distribution['hi']
        want = color['int8' if inside else 'range']
        check(near(picture.at(middle, low), want, 40) == (n > 0), f'{what}: bin {i} of {n}: {picture.at(middle, low)}')


def check_chart(page, what):
    """The line along the network is drawn, in both schemes, in colors of their own."""
    pictures = {}
    for scheme in ('light', 'dark'):
        page.media(scheme)
        x, y, width, height = page.run(f"{PLACE}('#drift svg')")
        picture = page.screenshot(clip=(x + width / 2, y, width / 2, height))
        ground = rgb(page.run('getComputedStyle(document.documentElement).backgroundColor'))
        line = rgb(page.run("getComputedStyle(document.querySelector('.accumulated')).stroke"))
        drawn = sum(near(c, line) for c in picture.pixels())
        check(drawn > width / 8, f'{what}, {scheme}: only {drawn} pixels of the line')
        check(near(picture.at(picture.width - 2, 2), ground), f'{what}, {scheme}: ground is {picture.at(picture.width - 2, 2)}')
        pictures[scheme] = picture, ground
        for selector in ('body', '.soft', '.bad', '.weak', 'th button', '.mark', 'input', '.copy'):
            if page.run(f'document.querySelector({json.dumps(selector)}) === null'):
                continue
            ink = rgb(page.run(f'getComputedStyle(document.querySelector({json.dumps(selector)})).color'))
            check(contrast(ink, ground) >= 4.5, f'{what}, {scheme}: {selector} has contrast {contrast(ink, ground):.2f}')
    check(sum(pictures['light'][1]) > 600 and sum(pictures['dark'][1]) < 200, f'{what}: light and dark are alike')
    page.media('light')


def check_phone(page, what):
    for width in (320, 390):
        page.size(width, 800, mobile=True)
        page.settle()
        wide = page.run('document.documentElement.scrollWidth')
        check(wide <= width, f'{what}: {wide} pixels wide on {width}')
        over = page.run(f'''[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > {width} + 0.5 &&
            getComputedStyle(e).position !== 'fixed' && !e.closest('caption')).map(e => e.tagName + '.' + e.getAttribute('class')).slice(0, 5)''')
        check(not over, f'{what}: beyond the edge of {width}: {over}')
    page.size(1280, 900)


def check_print(page, what):
    page.media('dark', 'print')
    check(rgb(page.run('getComputedStyle(document.documentElement).backgroundColor')) == (255, 255, 255), f'{what}: prints dark')
    check(page.run("document.getElementById('controls').offsetHeight") == 0, f'{what}: prints its controls')
    page.media('light')
    pdf = page.pdf()
    check(pdf[:5] == b'%PDF-' and b'%%EOF' in pdf[-32:] and len(re.findall(rb'/Type\s*/Page\b', pdf)) >= 1, f'{what}: no PDF')


# ---- copying ----

CLIPBOARD = 'navigator.clipboard.readText()'


def check_copying(page, what):
    """The clipboard has the option, with the modern way and without."""
    texts = page.run("[...document.querySelectorAll('#layers .copy')].map(b => b.dataset.copy)")
    check(texts, f'{what}: nothing to copy')
    for i, spoil in ((0, ''), (len(texts) - 1, "navigator.clipboard.writeText = () => Promise.reject(new Error('no'));")):
        page.run(spoil + "navigator.clipboard.readText().catch(() => '')")
        page.run(f"document.querySelectorAll('#layers .copy')[{i}].click()")
        page.settle()
        check(page.run(CLIPBOARD) == texts[i], f'{what}: copied {page.run(CLIPBOARD)!r}, not {texts[i]!r}')
        check(texts[i] in page.run("document.getElementById('copied').textContent"), f'{what}: does not say what was copied')
    return texts


def check_options(octet, model, page, work, what):
    """A shell and octet quantize understand what is copied, and the layer stays in float."""
    offered = page.run(
        "[...document.querySelectorAll('#layers tr.layer .copy')].map(b => [b.dataset.copy, b.closest('tr').dataset.name])")
    check(len(offered) >= 3, f'{what}: options for {offered} only')
    for text, name in offered:
        command = f'{shlex.quote(str(octet))} quantize {shlex.quote(str(work / model))} --data {work}/calib.npy --method minmax -f -o o.onnx --json {text}'
        try:
            result = json.loads(run('sh', '-c', command, cwd=work))
        except subprocess.CalledProcessError as failed:
            check(False, f'{what}: {text}: {failed.stderr}')
            continue
        check(not text.endswith("=float'") or name in [n['name'] for n in result['float_nodes']], f'{what}: {text} leaves {name!r} in int8')


# ---- the pages ----

def histogram_of(values, distribution):
    """Counted here: [counts of the page's bins], below and above the range."""
    bins, n = distribution['bins'], len(distribution['bins']['counts'])
    counts, step = [0] * n, (bins['hi'] - bins['lo']) / n
    for v in values:
        if bins['lo'] <= v <= bins['hi']:
            counts[min(int((v - bins['lo']) / step), n - 1)] += 1
    half = distribution['scale'] / 2
    return counts, sum(v < distribution['lo'] - half for v in values), sum(v > distribution['hi'] + half for v in values)


def check_input(data, path):
    """The network's input is the file of samples: everything about it can be counted."""
    values = array.array('f', path.read_bytes()[128:])
    shown = data['inputs'][0]['values']
    check(shown['count'] == len(values) and shown['min'] == max(shown['min'], min(values)), 'input: count')
    check(abs(shown['min'] - min(values)) < 1e-6 and abs(shown['max'] - max(values)) < 1e-6, 'input: ends')
    counts, below, above = histogram_of(values, shown)
    check((shown['below'], shown['above']) == (below, above), f'input: {shown["below"]}, {shown["above"]} saturate, not {below}, {above}')
    ours, its = (list(itertools.accumulate(c)) for c in (counts, shown['bins']['counts']))
    far = max(abs(a - b) for a, b in zip(ours, its))  # a place is known to 1/64 of it, the bins are about as wide
    check(far <= len(values) / 100, f'input: {far} numbers are in other bins')


def check_small(octet, work, page):
    run(octet, 'quantize', 'net.onnx', '--data', 'calib.npy', '--method', 'percentile', '--percentile', '90',
        '-o', 'q.onnx', cwd=work)
    said = json.loads(run(octet, 'report', 'net.onnx', 'q.onnx', '--data', 'calib.npy', '-o', 'net.html', '--seconds', '0.2',
                          '--json', cwd=work))
    data = embedded(work / 'net.html')
    check_same(data, json.loads(run(octet, 'compare', 'net.onnx', 'q.onnx', '--data', 'calib.npy', '--json', cwd=work)))
    check(said['layers'] == len(data['layers']) and said['comparison'] == data['output'], 'report --json: another summary')
    check(data['time']['us'] > 0 and any(l['us'] for l in data['layers']), 'no times')
    check_input(data, work / 'calib.npy')
    page.open(work / 'net.html')
    check(page.run("document.title").startswith('q.onnx'), 'title')
    check(len(page.run(NAMES)) == len(data['layers']) > 2, 'rows')
    for key in ('local_db', 'accumulated_db', 'us'):
        check_sorting(page, data, key)
    check_filter(page, data)
    conv = next(l for l in data['layers'] if l['op'] == 'Conv')
    check(open_by_key(page, conv['name']), 'a row does not open by keyboard')
    for index, kind in ((1, 'values'), (2, 'weights')):
        check_histogram(page, f'tr.detail .detail-grid > :nth-child({index + 1}) .histogram', conv[kind], f'{conv["name"]}, {kind}')
    check_histogram(page, '#inputs .histogram', data['inputs'][0]['values'], 'input')
    check_chart(page, 'small page')
    check_phone(page, 'small page')
    check_print(page, 'small page')
    check_copying(page, 'small page')
    check_options(octet, 'net.onnx', page, work, 'small page')
    check_quiet(page, 'small page')


def check_full(work, page):
    """Every field filled, by hostile texts where it is a text (make_page.c)."""
    data = embedded(work / 'full.html')
    page.open(work / 'full.html')
    layers = {l['op']: l for l in data['layers']}
    check(page.run("document.querySelector('h1').textContent") == data['title'] and '</title><script>' in data['title'], 'title')
    check(layers['Conv']['local_db'] is None and 'local_db' in layers['Conv']['equal'], 'equal')
    check(layers['GlobalAveragePool']['cosine'] is None and layers['GlobalAveragePool']['max_abs'] is None, 'not finite')
    check(data['layers'][3]['name'] == 'not in the network \ufffd\ufffd(', f'not UTF-8: {data["layers"][3]["name"]!r}')
    for key in ('local_db', 'accumulated_db', 'gain_db', 'weights_db'):
        check_sorting(page, data, key)
    check_filter(page, data)
    texts = check_copying(page, 'full page')
    check("--layer 'fc*<i>=minmax'" in texts, f'remedies: {texts}')
    page.click('#open-all')
    check(page.run("document.querySelectorAll('tr.detail').length") == 4, 'open all')
    text = page.run('document.body.innerText')
    for part in ('3 % beyond <b>the range</b>', 'outlier channel', 'U+202E', 'U+000A', '</script>', '<!--<script>', '1 dead (0)'):
        check(part in text, f'{part!r} is not shown')
    check(page.run("document.querySelectorAll('img, iframe, link, main b, main script').length") == 0, 'a name became an element')
    check_phone(page, 'full page')
    check_chart(page, 'full page')
    check_print(page, 'full page')
    check_quiet(page, 'full page')


def check_hostile(octet, work, page):
    """The same names through a file and the command line."""
    run(octet, 'quantize', 'hostile.onnx', '--data', 'calib.npy', '-o', 'h.onnx', cwd=work)
    run(octet, 'report', 'hostile.onnx', 'h.onnx', '--data', 'calib.npy', '-o', 'hostile.html', '--untimed',
        '--title', '"><script>window.hit = 1</script>', cwd=work)
    data = embedded(work / 'hostile.html')
    page.open(work / 'hostile.html')
    names = [l['name'] for l in data['layers']]
    check(sum('script' in n for n in names) == 2 and any('\u202e' in n for n in names) and any('onerror' in n for n in names),
          f'names were changed: {names}')
    check(page.run(NAMES) == names, 'rows have other names')
    page.click('#open-all')
    shown = page.run("[...document.querySelectorAll('tr.layer .name')].map(n => n.textContent)")
    for name, text in zip(names, shown):
        plain = ''.join(f'U+{ord(c):04X}' if c in '\n\x1b\t\x7f\u202e\u2028' else c for c in name)
        check(text == plain, f'{name!r} is shown as {text!r}')
    check(data['time'] is None, '--untimed measures times')
    check_options(octet, 'hostile.onnx', page, work, 'hostile page')
    check_quiet(page, 'hostile page')


def check_real(octet, work, page):
    if os.environ.get('OCTET_TEST_QUICK'):
        print('SKIPPED: MobileNetV2: OCTET_TEST_QUICK is set')
        return
    shared = pathlib.Path(os.environ.get('OCTET_SHARED') or pathlib.Path(__file__).resolve().parents[3] / 'shared')
    model, images = shared / 'models/mobilenetv2_1.0_224.onnx', shared / 'data/imagenet500'
    if not model.exists() or not images.exists():
        print('SKIPPED: MobileNetV2: the shared pack is absent (set OCTET_SHARED)')
        return
    samples = ('--data', images, '--limit', 3)
    run(octet, 'quantize', model, *samples, '--preprocess', 'imagenet', '--method', 'percentile', '-o', work / 'm.onnx')
    run(octet, 'report', model, work / 'm.onnx', *samples, '--seconds', 0.5, '-o', work / 'm.html')
    size = (work / 'm.html').stat().st_size
    check(size < 500000, f'MobileNetV2 has {size} bytes')
    data = embedded(work / 'm.html')
    page.open(work / 'm.html')
    check(len(data['layers']) >= 60 and len(page.run(NAMES)) == len(data['layers']), 'MobileNetV2: rows')
    check_sorting(page, data, 'local_db')
    clipped = max((l for l in data['layers'] if l.get('values') and l['values']['lo'] is not None),
                  key=lambda l: (l['values']['below'] + l['values']['above']) / l['values']['count'])
    check(clipped['values']['above'] > 0, 'MobileNetV2: nothing saturates by percentile')
    check(open_by_key(page, clipped['name']), 'MobileNetV2: a row does not open')
    check_histogram(page, 'tr.detail .histogram', clipped['values'], f'MobileNetV2: {clipped["name"]}')
    check_phone(page, 'MobileNetV2')
    check_quiet(page, 'MobileNetV2')
    print(f'MobileNetV2: {size} bytes, {len(data["layers"])} layers')


def main():
    octet, make_model, make_page = (pathlib.Path(p).resolve() for p in sys.argv[1:4])
    program = browser.find()
    if not program:
        print('SKIPPED: pages: there is no Chromium (Debian package chromium; OCTET_CHROMIUM names another)')
        sys.exit(1 if os.environ.get('OCTET_NEED_CHROMIUM') else 77)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        run(make_model, work)
        run(make_page, work)
        chromium = browser.Browser(program)
        try:
            chromium.send('Browser.grantPermissions', {'permissions': ['clipboardReadWrite', 'clipboardSanitizedWrite']})
            for test in (lambda p: check_small(octet, work, p), lambda p: check_full(work, p),
                         lambda p: check_hostile(octet, work, p), lambda p: check_real(octet, work, p)):
                page = chromium.page()
                page.send('Emulation.setFocusEmulationEnabled', {'enabled': True})
                page.size(1280, 900)
                page.media('light')
                test(page)
        finally:
            chromium.close()
    print(f'{checks - failures} passed, {failures} failed: pages in Chromium')
    sys.exit(1 if failures else 0)


main()

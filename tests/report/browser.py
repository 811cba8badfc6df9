# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium over its debugging pipe, and pictures as pixels: the standard library alone."""
import base64, contextlib, json, os, pathlib, select, shutil, struct, subprocess, tempfile, time, zlib

PROGRAMS = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')


def find():
    """Path of a Chromium, or None. OCTET_CHROMIUM names another one."""
    return os.environ.get('OCTET_CHROMIUM') or next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One Chromium. It reads commands on descriptor 3 and writes answers and events on 4, JSON ended by NUL."""

    def __init__(self, program):
        self.home = tempfile.TemporaryDirectory(prefix='octet-chromium-', ignore_cleanup_errors=True)
        down, self.commands = os.pipe()
        self.answers, up = os.pipe()
        # 3 and 4 in the child: through a shell, as Python keeps no numbers.
        script = f'exec 3<&{down} 4>&{up}; exec "$@"'
        self.log = open(pathlib.Path(self.home.name) / 'log', 'w+')
        self.process = subprocess.Popen(
            ['bash', '-c', script, 'bash', program, '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
             '--remote-debugging-pipe', '--no-first-run', '--disable-extensions', '--disable-background-networking',
             '--disable-component-update', '--disable-sync', '--force-color-profile=srgb', '--disable-dev-shm-usage',
             f'--user-data-dir={self.home.name}/profile', 'about:blank'],
            pass_fds=(down, up), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        os.close(down)
        os.close(up)
        self.buffer, self.number, self.waiting, self.events = b'', 0, {}, []

    def close(self):
        with contextlib.suppress(Exception):
            self.send('Browser.close', timeout=5)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)  # its own session: this browser and its children alone
            self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
        self.log.close()
        self.home.cleanup()

    def read(self, deadline):
        """One message, or None at the deadline."""
        while b'\0' not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                return None
            piece = os.read(self.answers, 1 << 20)
            if not piece:
                self.log.seek(0)
                raise RuntimeError('the browser has gone:\n' + self.log.read()[-2000:])
            self.buffer += piece
        message, self.buffer = self.buffer.split(b'\0', 1)
        return json.loads(message)

    def send(self, method, parameters=None, session=None, timeout=60):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters or {}}
        if session:
            message['sessionId'] = session
        data = json.dumps(message).encode() + b'\0'
        while data:
            data = data[os.write(self.commands, data):]
        deadline = time.monotonic() + timeout
        while True:
            answer = self.read(deadline)
            if answer is None:
                raise TimeoutError(method)
            if answer.get('id') == self.number:
                break
            self.events.append(answer)
        if 'error' in answer:
            raise RuntimeError(f'{method}: {answer["error"]}')
        return answer['result']

    def page(self):
        return Page(self)


class Page:
    """One tab. Everything it complains of or asks the network for is kept in self.events."""

    def __init__(self, browser):
        self.browser = browser
        target = browser.send('Target.createTarget', {'url': 'about:blank'})['targetId']
        self.session = browser.send('Target.attachToTarget', {'targetId': target, 'flatten': True})['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network', 'Audits'):
            self.send(domain + '.enable')

    def send(self, method, parameters=None, timeout=60):
        return self.browser.send(method, parameters, self.session, timeout)

    def events(self):
        """All so far of this tab."""
        while (message := self.browser.read(time.monotonic() + 0.05)) is not None:
            self.browser.events.append(message)
        return [e for e in self.browser.events if e.get('sessionId') == self.session]

    def open(self, path):
        self.send('Page.navigate', {'url': pathlib.Path(path).resolve().as_uri()})
        deadline = time.monotonic() + 60
        while self.run('document.readyState') != 'complete':
            if time.monotonic() > deadline:
                raise TimeoutError(f'{path} does not load')
            time.sleep(0.05)
        self.settle()

    def run(self, expression):
        """The value of an expression; promises are awaited."""
        answer = self.send('Runtime.evaluate', {'expression': expression, 'returnByValue': True, 'awaitPromise': True,
                                                'userGesture': True})
        if 'exceptionDetails' in answer:
            raise RuntimeError(f'{expression}: {answer["exceptionDetails"].get("exception", answer["exceptionDetails"])}')
        return answer['result'].get('value')

    def settle(self):
        """Until what is drawn in the next frames is drawn."""
        self.run('new Promise(done => { let n = 4; const next = () => n-- ? requestAnimationFrame(next) : done(); next(); })')

    def size(self, width, height, mobile=False):
        self.send('Emulation.setDeviceMetricsOverride', {'width': width, 'height': height, 'deviceScaleFactor': 1,
                                                         'mobile': mobile})
        self.settle()

    def media(self, scheme='light', kind=''):
        self.send('Emulation.setEmulatedMedia', {'media': kind, 'features': [{'name': 'prefers-color-scheme', 'value': scheme}]})
        self.settle()

    def click(self, selector):
        self.run(f'document.querySelector({json.dumps(selector)}).click()')
        self.settle()

    def key(self, key, code, text=''):
        for kind in ('keyDown', 'keyUp'):
            self.send('Input.dispatchKeyEvent', {'type': kind, 'key': key, 'windowsVirtualKeyCode': code,
                                                 **({'text': text} if text and kind == 'keyDown' else {})})
        self.settle()

    def screenshot(self, path=None, clip=None, full=False):
        """A Picture; clip: (x, y, width, height) in the page."""
        if clip:
            x, y, width, height = clip
            area = {'clip': {'x': x, 'y': y, 'width': width, 'height': height, 'scale': 1}, 'captureBeyondViewport': True}
        elif full:
            area = {'captureBeyondViewport': True, 'clip': {'x': 0, 'y': 0, 'scale': 1, **self.run(
                '({width: document.documentElement.clientWidth, height: document.documentElement.scrollHeight})')}}
        else:
            area = {}
        data = base64.b64decode(self.send('Page.captureScreenshot', {'format': 'png', **area})['data'])
        if path:
            pathlib.Path(path).write_bytes(data)
        return Picture(data)

    def pdf(self):
        return base64.b64decode(self.send('Page.printToPDF', {'printBackground': False})['data'])


class Picture:
    """A PNG of 8 bits, RGB or RGBA, not interlaced."""

    def __init__(self, data):
        assert data[:8] == b'\x89PNG\r\n\x1a\n', 'not a PNG'
        at, packed = 8, b''
        while at < len(data):
            length, kind = struct.unpack('>I4s', data[at:at + 8])
            body = data[at + 8:at + 8 + length]
            if kind == b'IHDR':
                self.width, self.height, depth, color, _, _, interlace = struct.unpack('>IIBBBBB', body)
                assert depth == 8 and color in (2, 6) and not interlace, (depth, color, interlace)
                self.channels = 3 if color == 2 else 4
            packed += body if kind == b'IDAT' else b''
            at += 12 + length
        self.rows = self.unfilter(zlib.decompress(packed))

    def unfilter(self, raw):
        n, stride = self.channels, self.channels * self.width
        rows, last = [], bytearray(stride)
        for y in range(self.height):
            kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
            for i in range(stride) if kind else ():
                a = row[i - n] if i >= n else 0
                b, c = last[i], last[i - n] if i >= n else 0
                if kind == 1:
                    add = a
                elif kind == 2:
                    add = b
                elif kind == 3:
                    add = (a + b) // 2
                else:
                    p = a + b - c
                    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
                    add = a if pa <= pb and pa <= pc else b if pb <= pc else c
                row[i] = (row[i] + add) & 255
            rows.append(row)
            last = row
        return rows

    def at(self, x, y):
        return tuple(self.rows[y][x * self.channels:x * self.channels + 3])

    def pixels(self):
        for y in range(self.height):
            for x in range(self.width):
                yield self.at(x, y)

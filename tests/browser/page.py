"""The status service's page as people see it, in a phone's width and a desktop's, by day and night.

TEST_SCREENSHOTS names a folder for pictures of it.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from browser import Browser
from clients import asks, connect, exchange
from harness import Daemon
from tap import case, run

WIDTHS, SCHEMES = (360, 1280), ("light", "dark")

# The contrast of each text with what is behind it, as WCAG 2.1 counts it; the worst one.
CONTRAST = """(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const rgb = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return canvas.getImageData(0, 0, 1, 1).data;
    };
    const light = (color) => {
        const [r, g, b] = [...rgb(color)].map((v) => v / 255)
            .map((v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const color = getComputedStyle(element).backgroundColor;
            if (rgb(color)[3] === 255) return color;
        }
        return "white";
    };
    let worst = [99, ""];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());) {
        const element = node.parentElement;
        if (!node.textContent.trim() || !element.checkVisibility() || element.closest("script")) continue;
        const a = light(getComputedStyle(element).color), b = light(behind(element));
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (ratio < worst[0]) worst = [ratio, node.textContent];
    }
    return worst;
})()"""
COLUMN = """[...document.querySelectorAll("#sessions tbody tr")].map((row) => row.cells[{}].dataset.v
    === undefined ? row.cells[{}].textContent : Number(row.cells[{}].dataset.v))"""


def column(browser, index):
    return browser.run(COLUMN.format(index, index, index))


def serve(daemon):
    """A busy daemon; returns the page's address and its clients."""
    daemon.configure({
        "echo": {"listen": "127.0.0.1:0 [::1]:0", "instances": 16, "no_access": "127.0.0.9"},
        "upper": {"handler": "upper", "listen": f"unix:{daemon.path('upper')}", "instances": 4},
        "status": {"handler": "status", "listen": "127.0.0.1:0"},
    })
    daemon.start()
    echo, echo6 = daemon.addresses["echo"]
    for size in (10, 20, 3000):
        exchange(echo, b"x" * size)
    exchange(echo, source="127.0.0.9")
    clients = [connect(where) for where in (echo, echo6, echo, echo6, f"unix:{daemon.path('upper')}")]
    for size, client in zip((7, 500, 30, 2000, 5), clients):
        asks(client, b"a" * size)
    return f"http://{daemon.addresses['status'][0]}/", clients


def expect_clean(browser, address):
    """Nothing to complain of, and nothing asked of anybody else."""
    assert not browser.complaints(), browser.complaints()
    strangers = [url for url in browser.requests() if not url.startswith((address, "data:"))]
    assert not strangers, strangers


@case("at 360 and 1280 pixels, light and dark: nothing sticks out, every text can be read", limit=300)
def looks():
    pictures = os.environ.get("TEST_SCREENSHOTS")
    with Daemon() as daemon, Browser() as browser:
        address, clients = serve(daemon)
        grounds = {}
        for width in WIDTHS:
            for scheme in SCHEMES:
                browser.open(address, width, scheme=scheme)
                if pictures:
                    time.sleep(1)
                    browser.screenshot(f"{pictures}/{width}-{scheme}.png")
                wide = browser.run("document.documentElement.scrollWidth")
                assert wide <= width, (width, scheme, wide)
                ratio, text = browser.run(CONTRAST)
                assert ratio >= 4.5, (width, scheme, ratio, text)
                grounds[scheme] = browser.run("getComputedStyle(document.body).backgroundColor")
                expect_clean(browser, address)
        assert grounds["light"] != grounds["dark"], grounds
        for client in clients:
            client.close()


@case("services, limits, reasons and sessions are there, and tables and pictures have names")
def contents():
    with Daemon() as daemon, Browser() as browser:
        address, clients = serve(daemon)
        browser.open(address)
        cards = browser.run("[...document.querySelectorAll('.card')].map((card) => card.innerText)")
        assert len(cards) == 3 and "4 of 16 sessions" in cards[0] and "1 of 4" in cards[1], cards
        assert "no access" in cards[0] and "client closed" in cards[0], cards[0]
        names = column(browser, 0)
        for client in clients[:4]:
            host, port = client.getsockname()[:2]
            assert (f"[{host}]:{port}" if ":" in host else f"{host}:{port}") in names, names
        assert "unix" in names, names
        for rule in ("svg:not([role=img][aria-label])", "th:not([scope])", "img", "[style]",
                     "table:not(:has(caption))", "html:not([lang])"):
            assert browser.run(f"document.querySelectorAll('{rule}').length") == 0, rule
        browser.run("performance.now()")
        expect_clean(browser, address)


@case("it renews itself: a client that comes appears, and one that leaves disappears", limit=300)
def renewal():
    with Daemon() as daemon, Browser() as browser:
        address, clients = serve(daemon)
        browser.open(address)
        with connect(daemon.addresses["echo"][0]) as new:
            shown = "document.body.innerText.includes('%s:%d')" % new.getsockname()
            asks(new, b"hello")
            browser.wait(shown)
        browser.wait("!" + shown)
        for client in clients:
            client.close()
        browser.wait("document.querySelector('.card').innerText.includes('0 of 16')")
        expect_clean(browser, address)


@case("a click on a head sorts by it, another turns it round, and renewal keeps that", limit=300)
def sorting():
    with Daemon() as daemon, Browser() as browser:
        address, clients = serve(daemon)
        browser.open(address)
        heads = browser.run("[...document.querySelectorAll('#sessions th[data-k]')]"
                            ".map((head) => head.dataset.k)")
        index = heads.index("in")
        browser.click("th[data-k=in] button")
        values = column(browser, index)
        assert values == sorted(values, reverse=True) and len(set(values)) > 3, values
        assert browser.run("document.querySelector('th[data-k=in]').ariaSort") == "descending"
        assert browser.run("document.querySelectorAll('th[aria-sort]').length") == 1
        browser.press("Enter", 13)  # it has the focus still
        values = column(browser, index)
        assert values == sorted(values), values
        browser.run("document.querySelector('main').dataset.old = 'yes'")
        asks(clients[0], b"y" * 5000)
        browser.wait("!document.querySelector('main').dataset.old")
        values = column(browser, index)
        assert values == sorted(values) and values[-1] >= 5000, values
        assert browser.run("document.activeElement.closest('th').dataset.k") == "in"
        browser.click("th[data-k=client] button")
        names = column(browser, 0)
        assert names[0].startswith("[::1]:") or names[0].startswith("127."), names
        assert names == browser.run(f"{names}.sort((a, b) => a.localeCompare(b, 'en', "
                                    "{numeric: true}))"), names
        expect_clean(browser, address)


@case("without scripts all of it is there, and nothing that would need one")
def without_scripts():
    with Daemon() as daemon, Browser() as browser:
        address, _clients = serve(daemon)
        browser.open(address, scripts=False)
        document = browser.call("DOM.getDocument")["root"]["nodeId"]

        def count(selector):
            return len(browser.call("DOM.querySelectorAll", nodeId=document,
                                    selector=selector)["nodeIds"])

        assert (count(".card"), count("#sessions thead th"), count("button")) == (3, 10, 0)
        assert count("#sessions tbody tr") >= 6 and count("noscript meta[http-equiv=refresh]") == 1
        expect_clean(browser, address)


@case("when the daemon does not answer any more, the page says that it is old", limit=300)
def gone():
    with Daemon() as daemon, Browser() as browser:
        address, clients = serve(daemon)
        browser.open(address)
        assert browser.run("document.getElementById('connection').checkVisibility()") is False
        for client in clients:
            client.close()
        daemon.stop()
        browser.wait("document.getElementById('connection').checkVisibility()")
        assert "old" in browser.run("document.getElementById('connection').innerText")


if __name__ == "__main__":
    run()

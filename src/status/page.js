"use strict";
(() => {
    const PERIOD = 2000;
    let order = null; // {key, down}: how the reader wants the sessions; null: as they come

    const value = (row, index) => {
        const cell = row.cells[index];
        return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
    };

    const sort = () => {
        const heads = [...document.querySelectorAll("#sessions thead th")];
        const index = order ? heads.findIndex((head) => head.dataset.k === order.key) : -1;
        if (index < 0) return;
        heads.forEach((head) => head.removeAttribute("aria-sort"));
        heads[index].setAttribute("aria-sort", order.down ? "descending" : "ascending");
        const body = document.querySelector("#sessions tbody");
        const turn = order.down ? -1 : 1;
        const compare = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
        body.append(...[...body.rows].sort((a, b) => turn * compare(value(a, index), value(b, index))));
    };

    const choose = (key, numeric) => {
        order = { key, down: order && order.key === key ? !order.down : numeric };
        sort();
    };

    // Without a script the heads are text; with it they are buttons.
    const arm = () => {
        for (const head of document.querySelectorAll("#sessions thead th")) {
            const button = document.createElement("button");
            button.type = "button";
            button.textContent = head.textContent;
            button.addEventListener("click", () => choose(head.dataset.k, head.className.includes("n")));
            head.replaceChildren(button);
        }
        sort();
    };

    // Style and script stay as they are: those of another answer would not be obeyed.
    const show = (text) => {
        const part = (begin, end) => text.slice(text.indexOf(begin), text.indexOf(end) + end.length);
        const page = new DOMParser().parseFromString(
            part("<title>", "</title>") + part("<main>", "</main>"), "text/html");
        const before = document.querySelector("main");
        const after = document.adoptNode(page.querySelector("main"));
        const head = document.activeElement && document.activeElement.closest("#sessions th");
        const left = before.querySelector(".scroll") ? before.querySelector(".scroll").scrollLeft : 0;
        before.replaceWith(after);
        document.title = page.title;
        arm();
        const again = head && document.querySelector(`#sessions th[data-k="${head.dataset.k}"] button`);
        if (again) again.focus({ preventScroll: true });
        if (after.querySelector(".scroll")) after.querySelector(".scroll").scrollLeft = left;
    };

    const say = (text) => {
        const line = document.getElementById("connection");
        if (line.textContent !== text) line.textContent = text;
        line.hidden = text === "";
    };

    const refresh = async () => {
        try {
            if (!document.hidden) {
                const answer = await fetch(location.href, { cache: "no-store" });
                if (!answer.ok) throw new Error();
                show(await answer.text());
                say("");
            }
        } catch {
            say("forkechod does not answer; what is shown here is old.");
        }
        setTimeout(refresh, PERIOD);
    };

    arm();
    setTimeout(refresh, PERIOD);
})();

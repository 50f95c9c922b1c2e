"use strict";
(() => {
  let column = -1, falling = false;
  const value = (row) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent;
  };
  const sort = () => {
    const table = document.querySelector("table");
    if (!table || column < 0) return;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const x = value(a), y = value(b);
      const order = typeof x === "number" ? x - y : x.localeCompare(y, undefined, { numeric: true });
      return falling ? -order : order;
    });
    table.tBodies[0].append(...rows);
    [...table.tHead.rows[0].cells].forEach((cell, i) => {
      if (i === column) cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  };
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("th");
    if (!cell || !event.target.closest("button")) return;
    falling = cell.cellIndex === column ? !falling : "n" in cell.dataset;
    column = cell.cellIndex;
    sort();
  });
  const refresh = async () => {
    try {
      if (document.hidden) return;
      const answer = await fetch(location.href, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const left = document.querySelector(".scroll")?.scrollLeft ?? 0;
      const focus = document.activeElement?.closest("th")?.cellIndex ?? -1;
      document.querySelector("main").replaceWith(page.querySelector("main"));
      const scroll = document.querySelector(".scroll");
      if (scroll) scroll.scrollLeft = left;
      sort();
      if (focus >= 0) document.querySelectorAll("th button")[focus]?.focus({ preventScroll: true });
      document.body.classList.remove("stale");
    } catch {
      const life = document.querySelector("#life");
      life.className = "state bad";
      life.textContent = "no answer, trying again";
    }
  };
  setInterval(refresh, 2000);
})();

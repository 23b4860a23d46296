"use strict";
/* The list: filters, sorting, and the way between a line and its points. */
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const table = document.getElementById("queue");
  const byId = (name) => document.getElementById(name);
  const lines = table ? [...table.tBodies[0].rows] : [];
  const names = lines.map((row) => row.querySelector(".name").textContent);
  const texts = lines.map((row) => [".name", ".said", ".rating"].map((part) => row.querySelector(part).textContent).join(" ").toLowerCase());
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const shown = new Set(lines.keys());
  const filters = byId("filters"), bar = byId("marked"), hint = byId("hint");
  let marked = null;

  const charts = drawCharts(data, (line) => find(line), tell);

  function placeOf(line) {
    const one = data.cases[line];
    if (one.x === undefined) { return "has no place on the map."; }
    return one.beyond ? `is marked on the map: ${data.beyond}.` : "is marked on the map.";
  }

  function mark(line) {
    if (marked !== null) { lines[marked].classList.remove("is-marked"); lines[marked].removeAttribute("aria-current"); }
    marked = line;
    charts.mark(line);
    bar.hidden = line === null;
    if (line === null) { return; }
    lines[line].classList.add("is-marked");
    lines[line].setAttribute("aria-current", "true");
    const light = data.cases[line].light;
    const shape = bar.querySelector("svg.light");
    shape.setAttribute("class", `light ${light}`);
    shape.firstElementChild.setAttribute("href", `#light-${light}`);
    byId("marked-name").textContent = names[line];
    byId("marked-place").textContent = placeOf(line);
    byId("marked-map").hidden = data.cases[line].x === undefined;
  }

  function find(line) {
    if (!shown.has(line)) { filters.reset(); filter(); }
    mark(line);
    lines[line].scrollIntoView({ block: "center" });
    lines[line].querySelector(".name").focus({ preventScroll: true });
  }

  /* What the pointer is on: a line of the list with its picture, or a text. */
  function tell(what, x, y) {
    hint.hidden = what === null;
    if (what === null) { return; }
    hint.replaceChildren();
    if (Number.isInteger(what)) {
      const add = (tag, text) => { hint.append(Object.assign(document.createElement(tag), { textContent: text })); };
      const picture = lines[what].querySelector("img");
      if (picture) { hint.append(Object.assign(new Image(), { src: picture.src, alt: "" })); }
      add("b", names[what]);
      add("span", lines[what].querySelector(".said").textContent);
    } else {
      hint.textContent = what;
    }
    const box = hint.getBoundingClientRect();
    const left = x + 16 + box.width > window.innerWidth ? x - 16 - box.width : x + 16;
    hint.style.left = `${Math.max(4, left)}px`;
    hint.style.top = `${Math.max(4, Math.min(y - 20, window.innerHeight - box.height - 4))}px`;
  }

  function filter() {
    const lights = new Set([...filters.querySelectorAll('[name="light"]:checked')].map((box) => box.value));
    const rating = byId("filter-rating").value;
    const words = byId("filter-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    shown.clear();
    lines.forEach((row, line) => {
      const fits = lights.has(row.dataset.light) && (rating === "any" || rating === `is:${row.dataset.rating}`)
        && words.every((word) => texts[line].includes(word));
      row.hidden = !fits;
      if (fits) { shown.add(line); }
    });
    byId("shown").textContent = shown.size === lines.length ? `${lines.length} cases` : `${shown.size} of ${lines.length} cases`;
    byId("none-left").hidden = shown.size > 0;
    charts.dim(shown);
  }

  function sort(button) {
    const head = button.closest("th");
    const down = head.getAttribute("aria-sort") === "ascending";
    const number = (line) => (lines[line].dataset.p === "" ? Infinity : Number(lines[line].dataset.p));
    const ratings = [...byId("filter-rating").options].map((option) => option.value);
    const compare = {
      light: (a, b) => a - b,
      name: (a, b) => collator.compare(names[a], names[b]),
      p: (a, b) => (number(a) === number(b) ? 0 : number(a) - number(b)),
      rating: (a, b) => ratings.indexOf(`is:${lines[a].dataset.rating}`) - ratings.indexOf(`is:${lines[b].dataset.rating}`),
    }[button.dataset.sort];
    /* Lines that are alike stay in the order of the worklist, whichever way it goes. */
    const order = [...lines.keys()].sort((a, b) => (down ? compare(b, a) : compare(a, b)) || a - b);
    table.tBodies[0].append(...order.map((line) => lines[line]));
    for (const other of table.tHead.querySelectorAll("[aria-sort]")) { other.removeAttribute("aria-sort"); }
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  if (table) {
    let waiting = 0;
    filters.addEventListener("submit", (event) => event.preventDefault());
    const soon = () => { clearTimeout(waiting); waiting = setTimeout(filter, 80); };
    for (const kind of ["input", "change"]) { filters.addEventListener(kind, soon); }
    /* The fields are emptied only after the event. */
    filters.addEventListener("reset", () => setTimeout(filter));
    table.tHead.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-sort]");
      if (button) { sort(button); }
    });
    table.tBodies[0].addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row && String(window.getSelection()) === "") { mark(lines.indexOf(row)); }
    });
    for (const link of document.querySelectorAll(".failures a")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        find(Number(link.hash.slice("#line-".length)));
      });
    }
    byId("marked-row").addEventListener("click", () => find(marked));
    byId("marked-map").addEventListener("click", () => byId("chart-map").scrollIntoView({ block: "center" }));
    byId("marked-none").addEventListener("click", () => { const line = marked; mark(null); lines[line].querySelector(".name").focus(); });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape" && marked !== null) { mark(null); } });
  }

  /* Paper has another width than the window, and pictures that were never scrolled to belong on it too. */
  window.addEventListener("beforeprint", () => {
    for (const picture of document.images) { picture.loading = "eager"; }
    for (const part of document.querySelectorAll("details")) { part.open = true; }
    charts.fit(480);
  });
  window.addEventListener("afterprint", () => charts.fit(null));
})();

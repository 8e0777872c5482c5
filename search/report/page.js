"use strict";
(() => {
  const json = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "class") made.className = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  };

  // Figures: made in light colours, drawn when scrolled to, redrawn when the theme changes, all drawn for print.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 560px)");
  const darkColors = json("dark-colors");
  const plots = [...document.querySelectorAll(".plot")];
  const specs = new Map();
  let printing = false;

  const spec = (plot) => {
    if (!specs.has(plot.id)) {
      specs.set(plot.id, document.querySelector(`script[data-for="${plot.id}"]`).textContent);
    }
    return JSON.parse(specs.get(plot.id));
  };
  const recolor = (value) => {
    if (typeof value === "string") return darkColors[value] ?? value;
    if (Array.isArray(value)) return value.map(recolor);
    if (value && typeof value === "object") {
      for (const key of Object.keys(value)) value[key] = recolor(value[key]);
    }
    return value;
  };
  const draw = (plot) => {
    const made = spec(plot);
    const { data, layout } = dark.matches && !printing ? recolor(made) : made;
    if (narrow.matches) layout.dragmode = false;
    if (printing) {
      layout.width = Math.max(200, Math.floor(plot.parentElement.clientWidth));
      layout.autosize = false;
    }
    const config = {
      responsive: !printing,
      displaylogo: false,
      displayModeBar: false,
      showTips: false,
      doubleClick: "reset+autosize",
    };
    return Plotly.react(plot, data, layout, config).then(() => {
      if (plot.dataset.drawn) return;
      plot.dataset.drawn = "true";
      plot.on("plotly_click", (event) => {
        const number = event.points[0]?.customdata;
        if (Number.isInteger(number)) openTrial(number);
      });
    });
  };
  const redraw = () => plots.filter((plot) => plot.dataset.drawn).forEach(draw);
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        watcher.unobserve(entry.target);
        draw(entry.target);
      }
    },
    { rootMargin: "400px 0px" },
  );
  plots.forEach((plot) => watcher.observe(plot));
  dark.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
  const print = (on) => {
    if (printing === on) return;
    printing = on;
    plots.forEach(draw);
  };
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  matchMedia("print").addEventListener("change", (event) => print(event.matches));

  // Copy buttons.
  const copy = async (button, text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = element("textarea", { style: "position:fixed;opacity:0" });
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button, document.getElementById(button.dataset.copy).textContent);
  });

  // The table of trials: sorted, filtered, shown a page at a time, each row opening its configuration.
  const PAGE = 50;
  const table = document.getElementById("trial-table");
  const trials = json("trial-data");
  const filter = document.getElementById("filter");
  const state = { column: 0, down: false, shown: PAGE, open: new Set() };

  const haystack = (row) =>
    (row.search ??= [
      ...row.cells.map((cell) => cell[1]),
      ...Object.entries(row.config).map(([name, value]) => `${name}=${value}`),
      row.error,
      ...row.facts.map((fact) => fact[1]),
    ].join(" ").toLowerCase());
  const compare = (a, b) => {
    const [x, y] = [a.cells[state.column][0], b.cells[state.column][0]];
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return state.down ? -order : order;
  };
  const detail = (row) => {
    const lines = Object.entries(row.config).map(([name, value]) => `    ${JSON.stringify(name)}: ${value},`);
    const id = `config-${row.n}`;
    const inside = element("div", { class: "inside" });
    if (row.error) {
      inside.append(element("div", { class: "failure" }, element("p", { class: "why" }, row.why), element("pre", { tabindex: "0" }, row.error)));
    }
    inside.append(
      element(
        "div",
        { class: "code" },
        element("button", { type: "button", class: "copy", "data-copy": id }, "Copy"),
        element("pre", { id, tabindex: "0" }, ["config = {", ...lines, "}"].join("\n")),
      ),
      element("dl", { class: "facts" }, ...row.facts.map(([k, v]) => element("div", {}, element("dt", {}, k), element("dd", {}, v)))),
    );
    const cell = element("td", { colspan: trials.columns.length }, inside);
    return element("tr", { class: "detail" }, cell);
  };
  const line = (row) => {
    const open = state.open.has(row.n);
    const opener = element("button", { type: "button", class: "opener", "aria-expanded": String(open) }, row.cells[0][1]);
    const first = element("th", { scope: "row" }, opener);
    const rest = row.cells.slice(1).map(([, text], index) => {
      const kind = trials.columns[index + 1].kind;
      return index === 0
        ? element("td", { class: "text" }, element("span", { class: `status ${row.status}` }, text))
        : element("td", { class: kind }, text);
    });
    return element("tr", { class: `row${row.best ? " best" : ""}${open ? " open" : ""}`, id: `row-${row.n}` }, first, ...rest);
  };
  const render = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = trials.rows.filter((row) => words.every((word) => haystack(row).includes(word))).sort(compare);
    const shown = found.slice(0, state.shown);
    table.tBodies[0].replaceChildren(...shown.flatMap((row) => (state.open.has(row.n) ? [line(row), detail(row)] : [line(row)])));
    const all = trials.rows.length.toLocaleString("en");
    document.getElementById("shown").textContent =
      found.length === trials.rows.length ? `${all} ${trials.rows.length === 1 ? "trial" : "trials"}` : `${found.length.toLocaleString("en")} of ${all} trials`;
    const more = document.getElementById("more");
    more.hidden = shown.length >= found.length;
    more.textContent = `Show ${Math.min(PAGE * 4, found.length - shown.length)} more`;
    for (const [index, cell] of [...table.tHead.rows[0].cells].entries()) {
      if (index === state.column) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  };
  const toggle = (number) => {
    if (!state.open.delete(number)) state.open.add(number);
    render();
    document.querySelector(`#row-${number} .opener`)?.focus({ preventScroll: true });
  };
  const openTrial = (number) => {
    if (!trials) return;
    filter.value = "";
    state.open.add(number);
    const place = [...trials.rows].sort(compare).findIndex((row) => row.n === number);
    state.shown = Math.max(state.shown, place + 1);
    render();
    const opener = document.querySelector(`#row-${number} .opener`);
    opener?.scrollIntoView({ block: "center" });
    opener?.focus({ preventScroll: true });
  };
  if (trials) {
    table.tHead.append(
      element(
        "tr",
        {},
        ...trials.columns.map(({ label, kind }, index) => {
          const button = element("button", { type: "button" }, label);
          button.addEventListener("click", () => {
            // A first click on a number shows the largest first, a second one the smallest.
            state.down = state.column === index ? !state.down : kind === "number" && index > 0;
            state.column = index;
            render();
          });
          return element("th", { scope: "col", class: kind }, button);
        }),
      ),
    );
    table.tBodies[0].addEventListener("click", (event) => {
      const row = event.target.closest("tr.row");
      if (row && !getSelection().toString()) toggle(Number(row.id.slice("row-".length)));
    });
    filter.addEventListener("input", () => {
      state.shown = PAGE;
      render();
    });
    document.getElementById("more").addEventListener("click", () => {
      state.shown += PAGE * 4;
      render();
    });
    render();
  }
  // Links say #trial-7, rows are called row-7: the browser itself would scroll the wide table sideways.
  const follow = () => {
    const trial = /^#trial-(\d+)$/.exec(location.hash);
    if (trial) openTrial(Number(trial[1]));
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.trial-link");
    if (link && link.hash === location.hash) follow();
  });
  addEventListener("hashchange", follow);
  follow();

  // The section being read is marked in the navigation.
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const reader = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        links.forEach((link) => link.removeAttribute("aria-current"));
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-20% 0px -70% 0px" },
  );
  document.querySelectorAll("main > section").forEach((part) => links.has(part.id) && reader.observe(part));
})();

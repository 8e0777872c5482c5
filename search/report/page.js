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
  // Where the reader was before the page reloaded itself; kept in the history, which file:// pages may write too.
  const place = history.state?.place;
  const zooms = place?.zooms ?? {};

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
      // The page still has the width of the window here, and none of the paper's: what fits A4 and Letter.
      layout.width = plot.closest(".slices") ? 300 : 630;
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
      plot.on("plotly_relayout", (change) => {
        const axes = Object.keys(change).filter((key) => key.includes("axis"));
        // Dragging gives the ends of a range one by one; a double-click gives the range, or none.
        if (axes.some((key) => key.includes(".range["))) zooms[plot.id] = { ...zooms[plot.id], ...change };
        else if (axes.length) delete zooms[plot.id];
      });
      if (zooms[plot.id]) Plotly.relayout(plot, zooms[plot.id]);
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

  // The table of trials: columns of values, read when the table comes near, shown a part at a time, each row opening
  // what is known of its trial.
  const PAGE = 50;
  const table = document.getElementById("trial-table");
  const trials = document.getElementById("trial-data");
  const filter = document.getElementById("filter");
  const state = { column: 0, down: false, start: 0, shown: PAGE, open: new Set() };
  let data = null;
  let columns = [];
  let sorted = null;
  const texts = [];
  const collator = new Intl.Collator("en", { numeric: true });
  const idle = window.requestIdleCallback ?? ((task) => setTimeout(task, 50));

  // Numbers as the rest of the page writes them.
  const DASH = "–";
  const grouped = (text) => text.replace(/^\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
  const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const counted = (value) => grouped(String(value));
  const number = (value, digits = 4) => {
    if (value === null) return DASH;
    const size = Math.abs(value);
    const whole = Number.isInteger(value);
    let text;
    if (size && (size < 1e-3 || size >= 1e7) && !(whole && size < 1e9)) {
      const [mantissa, exponent] = size.toExponential(digits - 1).split("e");
      text = `${trimmed(mantissa)}e${Number(exponent)}`;
    } else if (whole && size >= 10 ** digits) text = counted(size);
    else text = grouped(size.toFixed(Math.max(0, digits - 1 - (size ? Math.floor(Math.log10(size)) : 0))));
    return (value < 0 ? "−" : "") + text;
  };
  // Scores stand under each other, unless one would lose digits by the decimals of the largest.
  const score = (value) =>
    value !== null && Math.abs(value) >= 10 ** (2 - data.places) && Math.abs(value) < 1e7
      ? (value < 0 ? "−" : "") + grouped(Math.abs(value).toFixed(data.places))
      : number(value);
  const plain = (value, digits) => {
    const text = number(value, digits);
    return text.includes("e") ? text : trimmed(text);
  };
  const two = (amount, base, large, small) => {
    const [high, low] = [Math.floor(amount / base), amount % base];
    return low ? `${high} ${large} ${low} ${small}` : `${high} ${large}`;
  };
  const duration = (seconds) => {
    if (seconds === null || seconds < 0) return DASH;
    if (seconds < 99.5) return `${seconds.toFixed(seconds < 9.95 ? 1 : 0)} s`;
    if (Math.round(seconds) < 600) return two(Math.round(seconds), 60, "min", "s");
    const minutes = Math.round(seconds / 60);
    if (minutes < 100) return `${minutes} min`;
    return minutes < 48 * 60 ? two(minutes, 60, "h", "min") : two(Math.round(minutes / 60), 24, "d", "h");
  };

  // What tables/trials.py has packed.
  const at = (column, row) => {
    if (Array.isArray(column)) return column[row];
    if ("all" in column) return column.all;
    if ("some" in column) return column.some[row] ?? null;
    return column.of[column.at[row]] ?? null;
  };
  const label = ({ kind, values }, row) => {
    const value = at(values, row);
    if (value === null) return "";
    if (kind === "text") return value[1];
    if (kind === "int") return (value < 0 ? "−" : "") + counted(Math.abs(value));
    return plain(value, Math.abs(value) < 100 ? 3 : 5);
  };
  const python = ({ kind, values }, row) => {
    const value = at(values, row);
    if (value === null) return null;
    if (kind === "text") return value[0];
    const text = value && Math.abs(value) < 1e-4 ? value.toExponential() : String(value);
    return kind === "int" || /[.e]/.test(text) ? text : `${text}.0`;
  };
  const config = (row) =>
    data.parameters.map((parameter) => [parameter.name, python(parameter, row)]).filter(([, value]) => value !== null);
  const facts = (row) =>
    Object.entries(data.facts).map(([name, column]) => [name, at(column, row)]).filter(([, value]) => value !== null);

  const haystack = (row) =>
    (texts[row] ??= [
      ...columns.map(({ text }) => text(row)),
      ...config(row).map(([name, value]) => `${name}=${value}`),
      at(data.error, row) ?? at(data.why, row),
      ...facts(row).map(([, value]) => value),
      at(data.checkpoint, row),
    ].join(" ").toLowerCase());
  const order = () => {
    if (sorted?.column !== state.column || sorted.down !== state.down) {
      const { key } = columns[state.column];
      const keys = data.number.map((_, row) => key(row));
      const compare = (a, b) => {
        const [x, y] = [keys[a], keys[b]];
        if (x === null || y === null) return (x === null) - (y === null);
        const before = typeof x === "number" ? x - y : collator.compare(x, y);
        return state.down ? -before : before;
      };
      sorted = { column: state.column, down: state.down, rows: [...keys.keys()].sort(compare) };
    }
    return sorted.rows;
  };

  const copied = (id, text) => [
    element("button", { type: "button", class: "copy", "data-copy": id }, "Copy"),
    element("pre", { id, tabindex: "0" }, text),
  ];
  const svg = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    return made;
  };
  const curve = (row) => {
    const [iterations, values] = data.curves[row] ?? [[], []];
    const unit = data.unit ? ` ${data.unit}` : "";
    if (!iterations.length) {
      const left = data.cut && data.iterations[row] > 0;
      return element("p", { class: "muted" }, left
        ? `Its curve is not on this page: of many trials only the best and those that failed have theirs here.`
        : `It reported no finite ${data.metric}.`);
    }
    const [first, last] = [iterations[0], iterations.at(-1)];
    if (iterations.length === 1) {
      return element("p", { class: "muted" }, `One report, at iteration ${counted(first)}: ${data.metric} ${number(values[0])}${unit}.`);
    }
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const points = iterations.map((x, i) => {
      const y = high > low ? (values[i] - low) / (high - low) : 0.5;
      return `${((300 * (x - first)) / (last - first)).toFixed(1)},${(96 - 92 * y).toFixed(1)}`;
    });
    const told = `${data.metric} from iteration ${counted(first)} to ${counted(last)}: begins at ${number(values[0])}${unit}, ends at ${number(values.at(-1))}${unit}`;
    const drawing = svg("svg", { viewBox: "0 0 300 100", preserveAspectRatio: "none", role: "img", "aria-label": told });
    drawing.append(svg("polyline", { points: points.join(" "), class: at(data.status, row) }));
    return element("figure", { class: "curve" },
      element("figcaption", {}, data.metric + (data.unit ? ` (${data.unit})` : "")),
      element("span", { class: "high" }, plain(high, 5)),
      element("span", { class: "low" }, plain(low, 5)),
      drawing,
      element("span", { class: "first" }, counted(first)),
      element("span", { class: "last" }, `iteration ${counted(last)}`),
    );
  };
  // The section of pictures has them: a column of its table is a trial, named by the link at its head.
  const pictures = (trial) =>
    [...document.querySelectorAll(".gallery table")]
      .flatMap((gallery) => {
        const column = [...gallery.tHead.rows[0].cells].findIndex((head) => head.querySelector(`a[href="#trial-${trial}"]`));
        return [...gallery.tBodies[0].rows].map((row) => row.cells[column]?.querySelector("img")).filter(Boolean);
      })
      .slice(0, 3)
      .map(({ src, alt }) => element("img", { src, alt, title: alt, decoding: "async" }));
  const detail = (row) => {
    const trial = data.number[row];
    const lines = config(row).map(([name, value]) => `    ${JSON.stringify(name)}: ${value},`);
    if (data.left) lines.push(`    # and ${counted(data.left)} more, see trials.parquet`);
    const inside = element("div", { class: "inside" });
    const why = at(data.why, row);
    if (why) {
      const [error, log] = [at(data.error, row), at(data.log, row)];
      const failure = element("div", { class: "failure" }, element("p", { class: "why" }, why));
      if (error && error !== why && !log?.includes(error)) failure.append(element("pre", { tabindex: "0" }, error));
      if (log) failure.append(element("p", { class: "muted" }, "The end of its log"), element("pre", { class: "log", tabindex: "0" }, log));
      inside.append(failure);
    }
    const known = element("div", { class: "known" }, curve(row));
    const images = pictures(trial);
    if (images.length) known.append(element("div", { class: "thumbs" }, ...images));
    const checkpoint = at(data.checkpoint, row);
    if (checkpoint) known.append(element("div", { class: "code path" }, element("p", { class: "muted" }, "Checkpoint"), ...copied(`checkpoint-${trial}`, checkpoint)));
    known.append(element("dl", { class: "facts" }, ...facts(row).map(([k, v]) => element("div", {}, element("dt", {}, k), element("dd", {}, String(v))))));
    inside.append(element("div", { class: "code" }, ...copied(`config-${trial}`, ["config = {", ...lines, "}"].join("\n"))), known);
    return element("tr", { class: "detail" }, element("td", { colspan: columns.length }, inside));
  };
  const line = (row) => {
    const trial = data.number[row];
    const open = state.open.has(trial);
    const opener = element("button", { type: "button", class: "opener", "aria-expanded": String(open) }, String(trial));
    const rest = columns.slice(1).map(({ kind, text }, index) =>
      index === 0
        ? element("td", { class: "text" }, element("span", { class: `status ${at(data.status, row)}` }, text(row)))
        : element("td", { class: kind }, text(row)));
    const css = `row${row === data.best ? " best" : ""}${open ? " open" : ""}`;
    return element("tr", { class: css, id: `row-${trial}` }, element("th", { scope: "row" }, opener), ...rest);
  };
  const prepare = () => {
    data = JSON.parse(trials.textContent);
    const rows = (column) => (row) => column[row];
    columns = [
      { label: "Trial", kind: "number", key: rows(data.number), text: (row) => String(data.number[row]) },
      { label: "Status", kind: "text", key: (row) => at(data.status, row), text: (row) => at(data.status, row) },
      { label: data.metric + (data.unit ? ` (${data.unit})` : ""), kind: "number", key: rows(data.score), text: (row) => score(data.score[row]) },
      { label: "Iterations", kind: "number", key: rows(data.iterations), text: (row) => counted(data.iterations[row]) },
      { label: "Time", kind: "number", key: rows(data.seconds), text: (row) => duration(data.seconds[row]) },
      ...data.parameters.slice(0, data.shown).map((parameter) => ({
        label: parameter.name,
        kind: parameter.kind === "text" ? "text" : "number",
        key: (row) => (parameter.kind === "text" ? at(parameter.values, row)?.[1] ?? null : parameter.values[row]),
        text: (row) => label(parameter, row),
      })),
    ];
    const heads = columns.map((column, index) => {
      const button = element("button", { type: "button" }, column.label);
      button.addEventListener("click", () => {
        // A first click on a number shows the largest first, a second one the smallest.
        state.down = state.column === index ? !state.down : column.kind === "number" && index > 0;
        state.column = index;
        state.start = 0;
        render();
      });
      return element("th", { scope: "col", class: column.kind }, button);
    });
    table.tHead.append(element("tr", {}, ...heads));
  };
  // All the rows that are shown, or those from a place on, below the others.
  const render = (from = null) => {
    if (!data) prepare();
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length ? order().filter((row) => words.every((word) => haystack(row).includes(word))) : order();
    const end = state.start + state.shown;
    const made = found
      .slice(from ?? state.start, end)
      .flatMap((row) => (state.open.has(data.number[row]) ? [line(row), detail(row)] : [line(row)]));
    if (from === null) table.tBodies[0].replaceChildren(...made);
    else table.tBodies[0].append(...made);
    const all = counted(data.number.length);
    document.getElementById("shown").textContent =
      found.length === data.number.length ? `${all} ${all === "1" ? "trial" : "trials"}` : `${counted(found.length)} of ${all} trials`;
    const [more, top] = [document.getElementById("more"), document.getElementById("from-first")];
    more.hidden = end >= found.length;
    more.textContent = `Show ${Math.min(PAGE * 4, found.length - end)} more`;
    top.hidden = state.start === 0;
    top.textContent = `${counted(state.start)} above: show from the first`;
    for (const [index, cell] of [...table.tHead.rows[0].cells].entries()) {
      if (index === state.column) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  };
  const begin = () => trials && !data && render();
  const toggle = (shown) => {
    const trial = Number(shown.id.slice("row-".length));
    const open = !state.open.delete(trial);
    if (open) {
      state.open.add(trial);
      shown.after(detail(data.number.indexOf(trial)));
    } else shown.nextElementSibling.remove();
    shown.classList.toggle("open", open);
    shown.querySelector(".opener").setAttribute("aria-expanded", String(open));
  };
  const openTrial = (trial) => {
    if (!trials) return;
    begin();
    filter.value = "";
    state.open.add(trial);
    const place = order().findIndex((row) => data.number[row] === trial);
    if (place < state.start || place >= state.start + state.shown) {
      // Far down, the rows before it would take a second to make.
      state.start = place < 4 * PAGE ? 0 : place - 3;
      state.shown = place < 4 * PAGE ? Math.max(PAGE, place + 1) : PAGE;
    }
    render();
    const opener = document.querySelector(`#row-${trial} .opener`);
    opener?.scrollIntoView({ block: "center" });
    opener?.focus({ preventScroll: true });
  };
  if (trials) {
    table.tBodies[0].addEventListener("click", (event) => {
      const row = event.target.closest("tr.row");
      if (row && !getSelection().toString()) toggle(row);
    });
    filter.addEventListener("focus", () => {
      // What a filter looks through is put together while the reader begins to type.
      const warm = (row) => {
        for (const end = Math.min(row + 500, data.number.length); row < end; row += 1) haystack(row);
        if (row < data.number.length) idle(() => warm(row));
      };
      begin();
      idle(() => warm(0));
    }, { once: true });
    filter.addEventListener("input", () => {
      Object.assign(state, { start: 0, shown: PAGE });
      render();
    });
    document.getElementById("more").addEventListener("click", () => {
      const end = state.start + state.shown;
      state.shown += PAGE * 4;
      render(end);
    });
    document.getElementById("from-first").addEventListener("click", () => {
      Object.assign(state, { start: 0, shown: PAGE });
      render();
      filter.focus();
    });
    new IntersectionObserver(([entry], observer) => {
      if (!entry.isIntersecting) return;
      observer.disconnect();
      begin();
    }, { rootMargin: "800px 0px" }).observe(table);
    addEventListener("load", () => idle(begin));
    addEventListener("beforeprint", begin);
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
  if (!place) follow();

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

  // A page of a run that goes on reloads itself and comes back to where the reader was.
  const root = document.documentElement;
  const landmarks = () => [...document.querySelectorAll("main section[id], main figure[id], main tr[id]")];
  const folds = () => [...document.querySelectorAll("details")];
  const whereabouts = () => {
    const tops = landmarks().map((mark) => ({ id: mark.id, top: mark.getBoundingClientRect().top }));
    const nearest = tops.reduce((a, b) => (a && Math.abs(a.top - 80) <= Math.abs(b.top - 80) ? a : b), null);
    // New trials may come between the top of the window and the row that is being read.
    const read = tops.find(({ id, top }) => top >= 0 && top < innerHeight && document.getElementById(id).matches("tr.open"));
    const { column, down, start, shown, open } = state;
    return {
      scroll: scrollY,
      landmark: scrollY > 0 ? (read ?? nearest) : null,
      zooms,
      folds: folds().map((fold) => fold.open),
      sideways: [...document.querySelectorAll(".scroll, .plot-scroll")].map((part) => part.scrollLeft),
      focus: document.activeElement.closest("[id]")?.id,
      table: trials ? { column, down, start, shown, open: [...open], filter: filter.value } : null,
    };
  };
  const jump = (by) => scrollBy({ top: by, behavior: "instant" });
  const comeBack = () => {
    scrollTo({ top: place.scroll, behavior: "instant" });
    const mark = place.landmark && document.getElementById(place.landmark.id);
    if (mark) jump(mark.getBoundingClientRect().top - place.landmark.top);
  };
  if (place) {
    if (trials && place.table) {
      const { open, filter: words, ...rest } = place.table;
      Object.assign(state, rest, { open: new Set(open) });
      filter.value = words;
      render();
    }
    folds().forEach((fold, index) => (fold.open = place.folds[index] ?? fold.open));
    document.querySelectorAll(".scroll, .plot-scroll").forEach((part, index) => (part.scrollLeft = place.sideways[index] ?? 0));
    comeBack();
    const seen = plots.filter((plot) => {
      const { top, bottom } = plot.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    });
    seen.forEach((plot) => watcher.unobserve(plot));
    Promise.all(seen.map(draw)).finally(() => {
      comeBack();
      root.style.visibility = "";
      const focused = place.focus && document.getElementById(place.focus);
      (focused?.querySelector(":scope > th > .opener") ?? focused)?.focus({ preventScroll: true });
    });
    // The browser itself goes to the #anchor of the address when all is loaded.
    addEventListener("load", comeBack);
    addEventListener("pagehide", () => (history.scrollRestoration = returning ? "manual" : "auto"));
    history.replaceState(null, "");
  }
  let returning = false;
  const every = 1000 * Number(document.body.dataset.watch);
  if (every > 0) {
    let typed = 0;
    let pressed = false;
    addEventListener("input", () => (typed = Date.now()));
    addEventListener("pointerdown", () => (pressed = true));
    ["pointerup", "pointercancel"].forEach((end) => addEventListener(end, () => (pressed = false)));
    const busy = () => document.hidden || printing || pressed || Date.now() - typed < 3000 || !getSelection().isCollapsed;
    const refresh = () => {
      if (busy()) {
        setTimeout(refresh, 1000);
        return;
      }
      returning = true;
      history.scrollRestoration = "manual";
      history.replaceState({ place: whereabouts() }, "");
      location.reload();
    };
    setTimeout(refresh, every);
  }
})();

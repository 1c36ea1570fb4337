// What the page can do beside being read: say the numbers of points, choose within bounds, sort and search its tables. Without scripts nothing of
// its content is missing. Texts are set as text, never as markup.
"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  const make = (name, text = "", attributes = {}) => {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  // Figures: a point says its number to who points at it, taps on it, or comes to it by the arrow keys.
  for (const figure of document.querySelectorAll(".figure")) {
    const points = [...figure.querySelectorAll("svg g > title")].map((title) => title.parentNode);
    if (!points.length) continue;
    const says = make("output", "", { class: "says", hidden: "" });
    figure.after(says);
    let at = -1;
    const show = (place) => {
      points[at]?.classList.remove("pointed");
      at = place;
      points[at].classList.add("pointed");
      says.textContent = points[at].querySelector("title").textContent;
      says.hidden = false;
    };
    const pointAt = (event) => {
      const place = points.findIndex((point) => point.contains(event.target));
      if (place >= 0) show(place);
    };
    figure.addEventListener("pointerover", pointAt);
    figure.addEventListener("pointerdown", pointAt);
    figure.addEventListener("focus", () => {
      if (at >= 0) return;
      says.textContent = `${points.length} points: the arrow keys go from one to the next.`;
      says.hidden = false;
    });
    figure.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      show(at < 0 ? (step > 0 ? 0 : points.length - 1) : (at + step + points.length) % points.length);
      points[at].scrollIntoView({ block: "nearest", inline: "nearest" });
    });
  }

  // Tables: a heading sorts, numbers by what they begin with.
  const number = (text) => {
    const digits = text.replace(/\u2212/g, "-").replace(/(\d),(?=\d{3})/g, "$1").match(/^[+\u00b1\u2248<>\s]*(-?\d+(\.\d+)?)/);
    return digits ? Number(digits[1]) : null;
  };
  // What says the same as the cell above is left empty, which holds only as long as rows stay where they are.
  const fill = (table) => {
    for (const cell of table.querySelectorAll("td.again")) {
      const above = cell.parentNode.previousElementSibling.cells[cell.cellIndex];
      cell.textContent = above.textContent;
      cell.classList.remove("again");
    }
  };
  const sortBy = (table, heading, column, falling) => {
    fill(table);
    const rows = [...table.tBodies[0].rows];
    const key = (row) => row.cells[column].textContent.trim();
    const numeric = rows.every((row) => key(row) === "" || number(key(row)) !== null);
    const compare = (a, b) => (numeric ? number(a) - number(b) : a.localeCompare(b, "en", { numeric: true }));
    const empty = rows.filter((row) => key(row) === "");
    const full = rows.filter((row) => key(row) !== "").sort((a, b) => (falling ? -1 : 1) * compare(key(a), key(b)));
    table.tBodies[0].append(...full, ...empty); // what is not known is last, whichever way
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
  };
  const makeSortable = (table) => {
    for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
      const button = make("button", heading.textContent, { type: "button" });
      heading.replaceChildren(button);
      button.addEventListener("click", () =>
        sortBy(table, heading, column, heading.getAttribute("aria-sort") === "ascending"));
    }
  };
  for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);

  // Search: rows without the text are hidden, and what is folded opens where a row of it has it.
  const opened = new Set();
  const search = () => {
    const wanted = element("search").value.trim().toLowerCase();
    let hits = 0;
    for (const table of document.querySelectorAll("main table")) {
      if (wanted) fill(table);
      let inside = 0;
      for (const row of table.tBodies[0].rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        inside += !row.hidden;
      }
      hits += inside;
      const folded = table.closest("details");
      if (!folded) continue;
      if (wanted && inside && !folded.open) { folded.open = true; opened.add(folded); }
      if ((!wanted || !inside) && opened.delete(folded)) folded.open = false;
    }
    element("hits").textContent = wanted ? `${hits} ${hits === 1 ? "row" : "rows"}` : "";
  };
  element("searching").hidden = false;
  element("search").addEventListener("input", search);

  // The choice: the rule of `sparsebench advise`, by numbers that were computed with it.
  if (!element("choosable")) return;
  const networks = JSON.parse(element("choosable").textContent);
  const form = element("chooser");
  const field = (name) => form.elements[name];
  const options = (name, values) =>
    field(name).append(...values.map(([value, label]) => make("option", label, { value })));
  const distinct = (key, label) =>
    [...new Map(networks.flatMap((network) => network.candidates).map((c) => [c[key], c[label]]))];
  options("network", networks.map((network) => [network.name, network.label]));
  options("instance_type", distinct("instance_type", "instance_type"));
  options("engine", distinct("engine", "engine_label"));
  options("variant", distinct("variant", "variant_label"));

  const bound = (name) => (field(name).value === "" ? null : Number(field(name).value));
  const missed = (candidate) => {
    const percentile = field("percentile").value, latency = candidate.latency[percentile];
    const few = `too few inferences for p${percentile}: ${candidate.too_few[percentile]}`;
    const reasons = [];
    if (field("production").checked && !candidate.production) reasons.push("its licence does not cover production");
    if (field("target").value === "cost" && !candidate.cost[field("market").value])
      reasons.push(`no ${field("market").value.replace("_", "-")} price is known`);
    if (field("target").value === "latency" && !latency) reasons.push(few);
    if (bound("latency_ms") !== null) {
      if (!latency) reasons.push(few);
      else if (latency.high > bound("latency_ms")) reasons.push(`p${percentile} is ${latency.text} ms`);
    }
    if (bound("accuracy") !== null) {
      if (!candidate.top1) reasons.push("its accuracy was not measured");
      else if (candidate.top1.low < bound("accuracy") / 100) reasons.push(`top-1 is ${candidate.top1.text}`);
    }
    if (bound("memory_mb") !== null) {
      if (candidate.memory_bytes === null) reasons.push("its memory is not known");
      else if (candidate.memory_bytes > bound("memory_mb") * 1e6) reasons.push(`it takes ${candidate.memory} of memory`);
    }
    if (bound("size_mb") !== null) {
      if (candidate.bytes === null) reasons.push("its size is not known");
      else if (candidate.bytes > bound("size_mb") * 1e6) reasons.push(`it has ${candidate.size}`);
    }
    return [...new Set(reasons)];
  };
  const rank = (network, eligible) => {
    const target = field("target").value;
    const within = { cost: field("market").value, latency: field("percentile").value }[target];
    const value = (place) => {
      const known = network.candidates[place][target];
      return (within ? known[within] : known).value;
    };
    const decisive = network.decisive[within ? `${target} ${within}` : target], all = network.candidates.length;
    const better = (a, b) => { // whether a is shown to be better than b among the eligible
      const [first, second] = a < b ? [a, b] : [b, a];
      const most = decisive[first * all - (first * (first + 1)) / 2 + second - first - 1];
      return (a < b ? most : -most) >= eligible.length;
    };
    const sign = target === "throughput" ? -1 : 1;
    const byMean = [...eligible].sort((a, b) => sign * (value(a) - value(b)));
    let best = byMean[0];
    for (const other of byMean.slice(1)) if (better(other, best)) best = other;
    const verdict = (place) => (place === best ? "best by its mean" : better(best, place) ? "loses" : "cannot be told");
    const order = ["best by its mean", "cannot be told", "loses"];
    return byMean.map((place) => [place, verdict(place)]).sort((a, b) => order.indexOf(a[1]) - order.indexOf(b[1]));
  };
  const row = (candidate, verdict, kind) => {
    const percentile = field("percentile").value;
    const cost = candidate.cost[field("market").value], latency = candidate.latency[percentile];
    const cells = [
      [candidate.machine, ""], [candidate.engine_label, "short"], [candidate.variant_label, "short"],
      [verdict, kind], [cost ? cost.text : "", "number"],
      latency ? [latency.text, "number"] : ["too few", "absent"],
      [candidate.throughput.text, "number"], [candidate.top1 ? candidate.top1.text : "", "number"],
      [candidate.memory || "", "number"], [candidate.size || "", "number"], [String(candidate.threads), "number"],
    ];
    const made = make("tr");
    made.append(...cells.map(([text, style]) => make("td", text, style ? { class: style } : {})));
    return made;
  };
  const choose = () => {
    const network = networks.find((each) => each.name === field("network").value);
    const asked = (candidate) => ["instance_type", "engine", "variant"].every(
      (name) => field(name).value === "" || candidate[name] === field(name).value);
    const places = [...network.candidates.keys()].filter((place) => asked(network.candidates[place]));
    const reasons = new Map(places.map((place) => [place, missed(network.candidates[place])]));
    const eligible = places.filter((place) => !reasons.get(place).length);
    const ranked = eligible.length ? rank(network, eligible) : [];
    const body = element("chosen").tBodies[0];
    body.replaceChildren(
      ...ranked.map(([place, verdict]) =>
        row(network.candidates[place], verdict, verdict === "best by its mean" ? "short best" : "short")),
      ...places.filter((place) => reasons.get(place).length).map((place) =>
        row(network.candidates[place], `left out: ${reasons.get(place).join("; ")}`, "")));
    const percentile = field("percentile").value;
    element("chosen-latency").textContent = `p${percentile}, ms`;
    const tied = ranked.filter(([, verdict]) => verdict === "cannot be told").length;
    const best = ranked.length ? network.candidates[ranked[0][0]].label : "";
    element("chosen-says").textContent = !ranked.length
      ? `${network.label}: nothing surely meets the bounds.`
      : tied
        ? `${network.label}: by its mean ${best}, but ${tied} `
          + `${tied === 1 ? "other" : "others"} cannot be told from it.`
        : `${network.label}: take ${best}.`;
  };

  // The link: the address holds what was chosen.
  const PREFIX = "#choice?";
  const remember = () => {
    const chosen = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    history.replaceState(null, "", PREFIX + chosen);
  };
  const recall = () => {
    if (!location.hash.startsWith(PREFIX)) return;
    form.reset(); // what a link does not say is as on a fresh page
    for (const [name, value] of new URLSearchParams(location.hash.slice(PREFIX.length))) {
      const input = form.querySelector(`[name="${CSS.escape(name)}"]`);
      if (!input) continue;
      if (input.type === "checkbox") input.checked = value === "1";
      // A link of another night may name what this one lacks.
      else if (!input.options || [...input.options].some((option) => option.value === value)) input.value = value;
    }
    element("choice").scrollIntoView();
  };
  form.hidden = false;
  recall();
  choose();
  makeSortable(element("chosen"));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { choose(); remember(); });
  window.addEventListener("hashchange", () => { recall(); choose(); });
})();

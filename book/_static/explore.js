// Makes explorable what resnet_lib/show/explore.py and toys.py wrote into a page, and tables readable on a phone. It
// computes nothing of nets and runs: every number stands in the page. It only counts what a reader guessed right.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function row(cells, heading = "td") {
  const [first, ...others] = cells;
  const scope = { scope: heading === "th" ? "col" : "row" };
  return element("tr", {}, element("th", scope, first), ...others.map((text) =>
    element(heading, heading === "th" ? scope : {}, text)));
}

// ------------------------------------------------------------------------------------------------ training curves

function nearest(curve, x) {
  let best = 0;
  curve.x.forEach((value, index) => {
    if (Math.abs(value - x) < Math.abs(curve.x[best] - x)) best = index;
  });
  return curve.y[best];
}

function exploreCurves(box) {
  const panels = JSON.parse(box.querySelector("script").textContent);
  const origin = box.closest(".cell");
  const picture = origin.previousElementSibling.querySelector(".picture");
  const drawings = picture.querySelectorAll(".panels svg");

  const curves = panels.flatMap((panel) => panel.curves);
  const nets = [...new Set(curves.map((curve) => curve.net))];
  const kinds = [...new Set(curves.map((curve) => curve.of))];
  const iterations = [...new Set(curves.flatMap((curve) => curve.x))].sort((a, b) => a - b);

  const guides = panels.map(({ number, place: [left, top, wide, high], limits }) => {
    const svg = drawings[number];
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const guide = document.createElementNS(svg.namespaceURI, "line");
    guide.setAttribute("class", "explore-guide");
    guide.setAttribute("y1", top * height);
    guide.setAttribute("y2", (top + high) * height);
    svg.append(guide);
    return (x) => {
      const share = Math.min(Math.max((x - limits[0]) / (limits[1] - limits[0]), 0), 1);
      guide.setAttribute("x1", (left + share * wide) * width);
      guide.setAttribute("x2", (left + share * wide) * width);
    };
  });

  const shown = new Set(nets);
  const several = panels.length > 1;
  const readout = element("tbody");
  const slider = element("input", {
    type: "range", min: 0, max: iterations.length - 1, value: iterations.length - 1, "aria-label": "Iteration",
  });
  const where = element("output");

  function update() {
    const x = iterations[slider.value];
    where.textContent = `iteration ${x.toLocaleString("en")}`;
    slider.setAttribute("aria-valuetext", where.textContent);
    guides.forEach((move) => move(x));
    const rows = panels.flatMap((panel) => nets.filter((net) => shown.has(net)).flatMap((net) => {
      const own = panel.curves.filter((curve) => curve.net === net);
      if (!own.length) return [];
      const values = kinds.map((kind) => {
        const curve = own.find((one) => one.of === kind);
        return curve ? nearest(curve, x).toFixed(2) : "";
      });
      return [row([net, ...(several ? [panel.title] : []), ...values])];
    }));
    readout.replaceChildren(...rows);
  }

  const choices = nets.map((net) => {
    const check = element("input", { type: "checkbox", checked: "" });
    const color = curves.find((curve) => curve.net === net).color;
    check.addEventListener("change", () => {
      check.checked ? shown.add(net) : shown.delete(net);
      for (const part of picture.querySelectorAll("[data-net]")) {
        if (part.dataset.net === net) part.style.display = check.checked ? "" : "none";
      }
      update();
    });
    return element("label", { style: `--net-color: ${color}` }, check, net);
  });

  slider.addEventListener("input", update);
  for (const { number, place: [left, , wide], limits: [low, high] } of panels) {
    drawings[number].addEventListener("pointermove", (event) => {
      const frame = event.currentTarget.getBoundingClientRect();
      const x = (event.clientX - frame.left) / frame.width;
      if (x < left || x > left + wide) return;
      const iteration = low + ((x - left) / wide) * (high - low);
      const distances = iterations.map((value) => Math.abs(value - iteration));
      slider.value = distances.indexOf(Math.min(...distances));
      update();
    });
  }

  const heads = row(["net", ...(several ? ["panel"] : []), ...kinds.map((kind) => `${kind} error, %`)], "th");
  box.append(
    element("fieldset", {}, element("legend", {}, "Nets shown"), ...choices),
    element("div", { class: "explore-slider" }, where, slider),
    element("div", { class: "explore-readout", tabindex: 0, role: "group", "aria-label": "Values at this iteration" },
      element("table", {}, element("thead", {}, heads), readout)),
  );
  update();
  box.hidden = false;
  picture.classList.add("explored");
  picture.querySelector(".panels").after(box);
  origin.remove();
}

// ---------------------------------------------------------------------------------------------------- a net's cost

function exploreNets(box) {
  const { fields, shown, entries } = JSON.parse(box.querySelector("script").textContent);
  const body = box.querySelector("tbody");
  let chosen = shown;

  function update() {
    let candidates = entries;
    fields.forEach((_, index) => {
      const values = [...new Set(candidates.map(([choice]) => choice[index]))];
      if (!values.includes(chosen[index])) chosen[index] = values[0];
      selects[index].replaceChildren(...values.map((value) => new Option(value, value, false, value === chosen[index])));
      candidates = candidates.filter(([choice]) => choice[index] === chosen[index]);
    });
    body.replaceChildren(...candidates[0][1].map((cells) => row(cells)));
  }

  const selects = fields.map((_, index) => {
    const select = element("select");
    select.addEventListener("change", () => {
      const text = select.value;
      chosen[index] = entries.map(([choice]) => choice[index]).find((value) => String(value) === text);
      update();
    });
    return select;
  });
  const labels = fields.map((name, index) => element("label", {}, name, selects[index]));
  box.prepend(element("form", { class: "explore-form" }, ...labels));
  update();
}

// --------------------------------------------------------------------------------------------- depth and shortcuts

// The net that is shown stands in the page's address, so that it can be linked.
function playDepth(box) {
  const states = JSON.parse(box.querySelector("script").textContent);
  const picture = box.querySelector(".picture");
  const slider = element("input", { type: "range", min: 0, max: states[0].length - 1, id: "toy-layers" });
  const shortcut = element("input", { type: "checkbox", role: "switch" });
  const layers = element("b");
  const said = element("p", { class: "toy-said", role: "status" });

  function show() {
    const state = states[Number(shortcut.checked)][slider.value];
    layers.textContent = state.layers;
    slider.setAttribute("aria-valuetext", `${state.layers} layers`);
    for (const part of picture.querySelectorAll("[data-net]")) {
      part.classList.toggle("chosen", part.dataset.net === state.net);
    }
    for (const net of picture.querySelectorAll("[data-layers]")) {
      net.style.display = Number(net.dataset.layers) === state.layers ? "" : "none";
    }
    picture.classList.toggle("residual", shortcut.checked);
    said.textContent = state.said;
    return state;
  }

  function follow() {
    states.forEach((row, residual) => row.forEach(({ address }, index) => {
      if (`#${address}` === location.hash) [slider.value, shortcut.checked] = [index, Boolean(residual)];
    }));
    show();
  }

  for (const control of [slider, shortcut]) {
    control.addEventListener("input", () => history.replaceState(null, "", `#${show().address}`));
  }
  addEventListener("hashchange", follow);
  picture.querySelector(".key").before(
    element("div", { class: "toy-controls" },
      element("label", { for: "toy-layers" }, "layers ", layers), slider,
      element("label", {}, shortcut, "+ x: add to each block what enters it")),
    said,
  );
  picture.classList.add("played");
  slider.value = slider.max;
  follow();
}

// ---------------------------------------------------------------------------------------------- a block taken out

function breakNet(box) {
  const { first, nets } = JSON.parse(box.querySelector("script").textContent);
  const said = box.querySelector(".toy-said");
  const row = element("div", { class: "toy-blocks" });
  const select = element("select", { "aria-label": "Net" });
  nets.forEach(({ name }, index) => select.append(new Option(name, index, index === first, index === first)));

  function block(net, [number, error]) {
    const button = element("button", { type: "button", "aria-pressed": false, "aria-label": `block ${number}` }, number);
    if (error === null) button.disabled = true;
    button.addEventListener("click", () => {
      const out = button.getAttribute("aria-pressed") === "false";
      for (const other of row.querySelectorAll("button")) other.setAttribute("aria-pressed", other === button && out);
      said.textContent = out ? `Without block ${number}: ${error} wrong. ${net.whole}` : net.whole;
      button.style.setProperty("--error", error); // it stays to be seen, so that blocks can be compared
      button.classList.add("known");
    });
    return button;
  }

  function show() {
    const net = nets[select.value];
    row.replaceChildren(...net.stages.map((stage, index) => element(
      "span", { role: "group", "aria-label": `stage ${index + 1}` }, ...stage.map((one) => block(net, one)))));
    said.textContent = net.whole;
  }

  select.addEventListener("change", show);
  box.prepend(element("div", { class: "toy-controls" }, select, "Press a block to take it out."));
  said.after(row);
  box.querySelector(".told").classList.add("printed"); // which paper has in the place of the row
  show();
}

// ------------------------------------------------------------------------------------------------ verdicts to guess

function guess(box) {
  const { answers, always } = JSON.parse(box.querySelector("script").textContent);
  const items = [...box.querySelectorAll("li")];
  const button = element("button", { type: "button" }, "Show the verdicts");
  const score = element("p", { class: "toy-said", role: "status" });
  score.hidden = true;

  items.forEach((item, index) => {
    const statement = item.querySelector("p");
    const choices = Object.entries(answers).map(([verdict, word]) =>
      element("label", {}, element("input", { type: "radio", name: `guess-${index}`, value: verdict }), word));
    statement.after(element("div", { role: "radiogroup", "aria-label": statement.textContent }, ...choices));
    item.querySelector("details").hidden = true;
  });

  button.addEventListener("click", () => {
    const right = items.filter((item) => {
      const [said, details] = [item.querySelector(":checked")?.value, item.querySelector("details")];
      const hit = said === item.dataset.verdict;
      details.firstElementChild.textContent = hit ? "Right" : said ? "Wrong" : "No guess";
      details.open = true;
      details.hidden = false;
      item.classList.toggle("right", hit);
      return hit;
    });
    score.textContent = `${right.length} of ${items.length} right. ${always}`;
    score.hidden = false;
  });

  box.querySelector("ol").after(button, score);
}

// --------------------------------------------------------------------------------------------------------- tables

// A table that is wider than its place says so, and on which side the rest is.
function markWide(box) {
  const update = () => {
    const rest = box.scrollWidth - box.clientWidth;
    box.classList.toggle("wide", rest > 1);
    box.classList.toggle("at-end", rest > 1 && box.scrollLeft >= rest - 1);
  };
  box.addEventListener("scroll", update);
  new ResizeObserver(update).observe(box);
}

// A phone shows the rows of some tables as cards, in which each cell has the name of its column.
function label(table) {
  const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent);
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.cells].forEach((cell, index) => (cell.dataset.label = heads[index]));
  }
  table.classList.add("labelled");
}

// The ledger, in which a scale is a column. All scales together sort by the first that has a number, the fullest.
function filterLedger(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const scales = [...table.tHead.rows[0].cells].slice(1).map((head) => head.textContent);
  const verdicts = (row) => [...row.querySelectorAll("td.verdict")];
  const given = rows.flatMap(verdicts).map((cell) => cell.dataset.verdict);
  const chapter = (row) => row.querySelector("small a").textContent;
  const distinct = (texts) => [...new Set(texts)];
  const count = element("output", { role: "status" });

  function choice(name, ...options) {
    const select = element("select", { "aria-label": name });
    select.append(...options.map((option) => new Option(...[option].flat())));
    select.addEventListener("change", update);
    return [select, element("label", {}, name, select)];
  }

  const [verdict, ofVerdict] = choice("verdict", "any", ...distinct(given));
  const [scale, ofScale] = choice("scale", "all", ...scales);
  const [part, ofPart] = choice("chapter", "all", ...distinct(rows.map(chapter)));
  const [order, ofOrder] = choice("sorted by", "chapter", ["effect in points", "effect"], "seeds");

  function update() {
    const asked = (row) => verdicts(row).filter((_, index) => !scale.selectedIndex || scale.selectedIndex === index + 1);
    const key = (row) => Number(asked(row).find((cell) => order.value in cell.dataset)?.dataset[order.value] ?? -Infinity);
    for (const row of rows) {
      row.hidden = (part.selectedIndex && chapter(row) !== part.value)
        || (verdict.selectedIndex && !asked(row).some((cell) => cell.dataset.verdict === verdict.value));
      for (const cell of verdicts(row)) cell.hidden = !asked(row).includes(cell);
    }
    [...table.tHead.rows[0].cells].slice(1).forEach((head, index) => {
      head.hidden = Boolean(scale.selectedIndex) && scale.selectedIndex !== index + 1;
    });
    body.append(...(order.selectedIndex ? [...rows].sort((a, b) => key(b) - key(a) || 0) : rows));
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
  }

  const form = element("form", { class: "explore-form" }, ofVerdict, ofScale, ofPart, ofOrder, count);
  // A link to a claim shows it, whatever was chosen before.
  function follow() {
    const row = rows.find((one) => `#${one.id}` === location.hash);
    if (!row?.hidden) return;
    form.reset();
    update();
    row.scrollIntoView();
  }

  addEventListener("hashchange", follow);
  table.before(form);
  update();
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".cell_output .output.text_html:has(table.dataframe)").forEach(markWide);
  document.querySelectorAll("table.ledger").forEach(label);
  document.querySelectorAll("table.ledger:has(tr[id] td.verdict + td.verdict)").forEach(filterLedger);
  document.querySelectorAll(".explore-curves").forEach(exploreCurves);
  document.querySelectorAll("table.cards").forEach(label);
  document.querySelectorAll(".explore-nets").forEach(exploreNets);
  document.querySelectorAll(".explore-depth").forEach(playDepth);
  document.querySelectorAll(".explore-lesions").forEach(breakNet);
  document.querySelectorAll(".explore-guesses").forEach(guess);
});

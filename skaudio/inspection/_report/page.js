"use strict";

// Texts reach the page by textContent and attributes only, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const PER_PAGE = 20;
const COLORS = 6; // --color-0 ... in the style sheet
const SVG = "http://www.w3.org/2000/svg";
// markers of radius 1, for classes that share a colour
const SHAPES = [
  "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z", "M-.9-.9H.9V.9H-.9Z", "M0-1.2L1.1.8H-1.1Z",
  "M0-1.3L1.1 0L0 1.3L-1.1 0Z", "M0 1.2L1.1-.8H-1.1Z",
  "M-.4-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z", "M0-1.2L1.2-.3L.7 1.1H-.7L-1.2-.3Z",
];

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const percent = (share) => `${Math.round(100 * share)} %`;
const written = (score) => (data.isProbability ? percent(score) : score.toFixed(2));
const namesOf = (codes, none) => codes.map((code) => data.classes[code]).join(", ") || none;
const truthOf = (clip) => namesOf(clip.truth, data.isTags ? "no tag" : "unknown");
const saidOf = (clip) => namesOf(clip.said, data.isTags ? "no tag" : "no prediction");
const outcomeOf = (clip) => (clip.right === null ? "unknown" : clip.right ? "right" : "wrong");
const MARKS = { right: "✓ right", wrong: "✗ wrong", unknown: "? no verdict" };

// ------------------------------------------------------------------ what is listed
const state = { rows: [], page: 0, current: null };
const ORDERS = {
  "mistakes first": (clip) => clip.order,
  "least certain first": (clip) => clip.margin ?? Infinity,
  "by name": (clip) => clip.name,
  "as in X": (clip, row) => row,
};
const fields = Object.fromEntries(
  ["outcome", "truth", "said", "sorting", "search"].map((id) => [id, byId(id)]));

function matches(clip) {
  const { outcome, truth, said, search } = fields;
  const text = search.value.trim().toLowerCase();
  const texts = [clip.name, clip.source ?? ""].map((t) => t.toLowerCase());
  return (outcome.value === "" || outcomeOf(clip) === outcome.value)
    && (truth.value === "" || clip.truth.includes(Number(truth.value)))
    && (said.value === "" || clip.said.includes(Number(said.value)))
    && (text === "" || texts.some((t) => t.includes(text)));
}

function refresh() {
  const key = ORDERS[fields.sorting.value];
  const keys = data.clips.map(key);
  const compare = (a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b);
  state.rows = data.clips.map((_, row) => row).filter((row) => matches(data.clips[row]));
  state.rows.sort(compare);
  state.page = 0;
  if (!state.rows.includes(state.current)) state.current = null;
  const wrong = state.rows.filter((row) => data.clips[row].right === false).length;
  byId("count").textContent = `${state.rows.length} of ${data.clips.length} clips, `
    + `${wrong} ${wrong === 1 ? "mistake" : "mistakes"}`;
  const isFiltered = ["outcome", "truth", "said", "search"].some((id) => fields[id].value !== "");
  byId("clear").hidden = !isFiltered;
  markFilters();
  showPage();
}

function markFilters() {
  const shown = new Set(state.rows);
  for (const point of document.querySelectorAll("#map path")) {
    point.classList.toggle("faint", !shown.has(Number(point.dataset.row)));
  }
  for (const button of document.querySelectorAll("#confusion button, #scores tbody button")) {
    const { truth, said } = button.dataset;
    const isOn = fields.truth.value === truth && fields.said.value === (said ?? "");
    button.setAttribute("aria-pressed", isOn);
  }
}

function filterBy(truth, said) {
  const isOn = fields.truth.value === String(truth) && fields.said.value === String(said);
  fields.outcome.value = fields.search.value = "";
  fields.truth.value = isOn ? "" : truth;
  fields.said.value = isOn ? "" : said;
  refresh();
  reveal(document.querySelector("main"));
}

function clearFilters() {
  for (const id of ["outcome", "truth", "said", "search"]) fields[id].value = "";
  refresh();
}

function reveal(where, block = "start") {
  const { top, bottom } = where.getBoundingClientRect();
  const isInside = block === "nearest" ? top >= 0 && bottom <= innerHeight
    : top >= -1 && top < innerHeight / 2;
  if (!isInside) where.scrollIntoView({ block: block === "nearest" ? "center" : block });
}

function showPage() {
  stop();
  const first = state.page * PER_PAGE;
  const rows = state.rows.slice(first, first + PER_PAGE);
  byId("list").replaceChildren(...rows.map(card));
  byId("list").start = first + 1;
  byId("pages").hidden = state.rows.length <= PER_PAGE;
  byId("page").textContent = `${first + 1} to ${first + rows.length} of ${state.rows.length}`;
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = first + PER_PAGE >= state.rows.length;
  if (!rows.length) {
    byId("list").append(element("li", { class: "empty" }, "No clip passes these filters."));
  }
  mark();
}

function turn(step) {
  state.page += step;
  showPage();
  byId("list").scrollIntoView();
}

function mark() {
  for (const shown of document.querySelectorAll("#list > li, #map path")) {
    const isCurrent = Number(shown.dataset.row) === state.current && state.current !== null;
    shown.classList.toggle("current", isCurrent);
    if (isCurrent && shown.parentNode.id === "list") shown.setAttribute("aria-current", "true");
    else shown.removeAttribute("aria-current");
  }
}

const cardOf = (row) => document.querySelector(`#list > li[data-row="${row}"]`);

function select(row, { play = false, focus = true } = {}) {
  if (!state.rows.includes(row)) clearFilters();
  const page = Math.floor(state.rows.indexOf(row) / PER_PAGE);
  state.current = row;
  if (page !== state.page || !cardOf(row)) {
    state.page = page;
    showPage();
  }
  mark();
  const shown = cardOf(row);
  if (focus) shown.focus({ preventScroll: true });
  reveal(shown, "nearest");
  if (play) toggle(shown, true);
}

function move(step) {
  const at = state.rows.indexOf(state.current);
  const next = at < 0 ? 0 : at + step;
  if (next >= 0 && next < state.rows.length) select(state.rows[next]);
}

// -------------------------------------------------------------------------- sound
let playing = null; // the card that is heard

function stop() {
  if (playing) playing.querySelector("audio").pause();
}

function toggle(shown, always = false) {
  const audio = shown.querySelector("audio");
  if (!audio) return;
  if (audio.paused || always) {
    if (playing !== shown) stop();
    playing = shown;
    audio.play().catch(() => {}); // the element's own error is shown
  } else {
    audio.pause();
  }
}

function player(shown, clip, sound) {
  const audio = element("audio", { preload: "metadata", src: sound.source });
  const button = element("button", { type: "button", class: "play", "aria-label": `Play ${clip.name}` });
  const time = element("span", { class: "time" }, `${sound.seconds.toFixed(1)} s`);
  const head = element("div", { class: "playhead" });
  const picture = element("canvas", { "aria-hidden": "true" });
  const slider = element("div", {
    class: "picture", role: "slider", tabindex: "0", "aria-label": `Position in ${clip.name}`,
    "aria-valuemin": 0, "aria-valuemax": sound.seconds, "aria-valuenow": 0,
  }, picture, head, time);

  const image = new Image();
  image.onload = () => {
    [picture.width, picture.height] = [image.width, image.height];
    picture.getContext("2d").drawImage(image, 0, 0);
  };
  image.src = sound.picture;

  function show() {
    const now = Math.min(audio.currentTime, sound.seconds);
    head.style.left = `${(100 * now) / sound.seconds}%`;
    time.textContent = `${now.toFixed(1)} of ${sound.seconds.toFixed(1)} s`;
    slider.setAttribute("aria-valuenow", now.toFixed(2));
    slider.setAttribute("aria-valuetext", `${now.toFixed(1)} seconds`);
    if (!audio.paused) requestAnimationFrame(show);
  }
  function seek(seconds) {
    audio.currentTime = Math.max(0, Math.min(seconds, sound.seconds - 0.01));
    show();
  }
  for (const event of ["play", "pause", "ended", "seeked"]) {
    audio.addEventListener(event, () => {
      shown.classList.toggle("playing", !audio.paused);
      button.setAttribute("aria-label", `${audio.paused ? "Play" : "Pause"} ${clip.name}`);
      show();
    });
  }
  audio.addEventListener("error", () => {
    time.textContent = "This browser cannot play the sound.";
    button.disabled = true;
  });
  button.addEventListener("click", () => {
    select(Number(shown.dataset.row), { focus: false });
    toggle(shown);
  });
  slider.addEventListener("click", (event) => {
    const { left, width } = slider.getBoundingClientRect();
    seek(((event.clientX - left) / width) * sound.seconds);
    select(Number(shown.dataset.row), { play: true, focus: false });
  });
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    seek(audio.currentTime + (step * sound.seconds) / 20);
  });

  const hertz = data.hz.map(([label, place]) => {
    const tick = element("span", {}, label);
    tick.style.bottom = `${100 * place}%`;
    return tick;
  });
  const ticks = timeTicks(sound.seconds);
  const seconds = ticks.map((at, i) => {
    const tick = element("span", {}, i === ticks.length - 1 ? `${at} s` : String(at));
    tick.style.left = `${(100 * at) / sound.seconds}%`;
    if (at > 0.95 * sound.seconds) tick.classList.add("last");
    return tick;
  });
  const view = element("div", { class: "player" },
    element("div", { class: "hertz", "aria-hidden": "true" }, ...hertz), slider,
    element("div", { class: "seconds", "aria-hidden": "true" }, ...seconds), audio);
  return { button, view };
}

function timeTicks(seconds) {
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500]
    .find((s) => seconds / s <= 6) ?? 1000;
  const n = Math.floor(seconds / step + 1e-6);
  return Array.from({ length: n + 1 }, (_, i) => Number((i * step).toFixed(2)));
}

// -------------------------------------------------------------------------- cards
function card(row) {
  const clip = data.clips[row];
  const sound = data.sounds[row];
  const id = `clip-${row}`;
  const kind = outcomeOf(clip);
  const source = clip.source === null ? [] : [element("span", { class: "source" }, `source ${clip.source}`)];
  const shown = element("li", {
    class: kind, tabindex: "-1", "data-row": row, "aria-labelledby": `${id} ${id}-verdict`,
  });
  const labels = clip.right === true && !data.isTags
    ? [label("true and predicted", truthOf(clip))]
    : [label("true", truthOf(clip)), label("predicted", saidOf(clip), kind)];
  const heard = sound ? player(shown, clip, sound) : null;
  shown.append(element("div", { class: "top" }, ...(heard ? [heard.button] : []),
    element("div", {},
      element("div", { class: "line" },
        element("h3", { id }, clip.name), ...source,
        element("span", { class: `verdict ${kind}`, id: `${id}-verdict` }, MARKS[kind])),
      element("div", { class: "line" }, ...labels))));
  const remarks = [...(sound ? sound.remarks : []), clip.remark].filter(Boolean);
  if (remarks.length) shown.append(element("p", { class: "remark" }, remarks.join("; ")));
  const body = element("div", { class: sound ? "body" : "body mute" });
  if (heard) body.append(heard.view);
  if (clip.bars.length) body.append(opinions(clip));
  shown.append(body);
  return shown;
}

function label(what, text, kind = "") {
  return element("span", { class: `label ${kind}` },
    element("small", {}, what), " ", element("strong", {}, text));
}

function opinions(clip) {
  const scores = clip.bars.map(([, score]) => score);
  const top = data.isProbability ? 1 : Math.max(...scores.map(Math.abs), 1e-9);
  const isShown = ([code, score], i) => !data.isProbability || i < 2 || score >= 0.005
    || clip.truth.includes(code) || clip.said.includes(code);
  const bars = element("ul", { class: "bars" }, ...clip.bars.filter(isShown).map(
    ([code, score]) => element("li", {}, ...bar(clip, code, score, top))));
  const made = element("div", { class: "opinions" }, bars);
  if (data.branches.length) {
    const rows = data.branches.map((name, i) => element("li", {},
      element("span", { class: "branch" }, name), ...branch(clip, clip.branches[i])));
    made.append(element("p", { class: "hint" }, "Each branch by itself"),
      element("ul", { class: "bars branches" }, ...rows));
  }
  return made;
}

function bar(clip, code, score, top) {
  const isTrue = clip.truth.includes(code);
  const isSaid = clip.said.includes(code);
  const kind = isTrue ? "true" : isSaid ? "false" : "";
  const fill = element("span", { class: `fill ${kind}` });
  fill.style.width = `${100 * Math.max(0, score / top)}%`;
  const name = element("span", { class: "name", title: data.classes[code] },
    element("span", {}, data.classes[code]), ...(isTrue ? [" ", element("small", {}, "true")] : []));
  return [name, element("span", { class: "track", "aria-hidden": "true" }, fill),
    element("span", { class: "value" }, written(score))];
}

function branch(clip, bars) {
  return bars.length ? bar({ ...clip, said: [bars[0][0]] }, ...bars[0], 1) : ["no opinion"];
}

// ----------------------------------------------------------------------- overview
function drawFigures() {
  byId("title").textContent = data.title;
  byId("figures").append(...data.figures.map(({ label: name, value, detail }) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value),
      ...(detail ? [element("dd", { class: "detail" }, detail)] : []))));
  byId("notes").append(...data.notes.map((note) => element("li", {}, note)));
}

function drawConfusion() {
  if (!data.confusion) {
    byId("confusion-panel").remove();
    return;
  }
  const names = data.classes;
  const table = byId("confusion");
  table.classList.toggle("small", names.length > 15);
  table.append(element("thead", {}, element("tr", {}, element("td"),
    ...names.map((name) => element("th", { scope: "col", title: name }, element("span", {}, name))))));
  const body = element("tbody");
  data.confusion.forEach((counts, truth) => {
    const total = counts.reduce((a, b) => a + b, 0);
    body.append(element("tr", {}, element("th", { scope: "row", title: names[truth] }, names[truth]),
      ...counts.map((count, said) => cell(count, total, truth, said))));
  });
  table.append(body);
  const buttons = [...table.querySelectorAll("button")];
  if (buttons.length) buttons[0].tabIndex = 0;
  table.addEventListener("keydown", (event) => moveInTable(event, buttons));
}

function cell(count, total, truth, said) {
  if (!count) return element("td", {}, element("span", { class: "none" }, "·"));
  const text = `true ${data.classes[truth]}, predicted ${data.classes[said]}: ${count} of ${total} clips`;
  const button = element("button", {
    type: "button", "data-truth": truth, "data-said": said, "aria-label": text, title: text,
    "aria-pressed": "false", class: truth === said ? "hit" : "miss",
  }, String(count));
  button.tabIndex = -1; // one stop of the tab key for the table, arrows within
  button.style.setProperty("--share", `${Math.round(10 + (50 * count) / total)}%`);
  button.addEventListener("click", () => filterBy(truth, said));
  return element("td", {}, button);
}

function moveInTable(event, buttons) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step || event.target.tagName !== "BUTTON") return;
  event.preventDefault();
  event.stopPropagation();
  const at = (button) => [Number(button.dataset.truth), Number(button.dataset.said)];
  const [row, column] = at(event.target);
  const ahead = buttons.map((button) => {
    const [r, c] = at(button);
    const along = (r - row) * step[0] + (c - column) * step[1];
    const aside = Math.abs((r - row) * step[1]) + Math.abs((c - column) * step[0]);
    return [along > 0 ? along + 100 * aside : Infinity, button];
  }).sort((a, b) => a[0] - b[0])[0];
  if (ahead[0] === Infinity) return;
  event.target.tabIndex = -1;
  ahead[1].tabIndex = 0;
  ahead[1].focus();
}

function marker(code) {
  const color = `--color-${code % COLORS}`;
  const path = SHAPES[data.classes.length > COLORS ? code % SHAPES.length : 0];
  return { color: `var(${color})`, path };
}

function drawMap() {
  const map = data.map;
  if (!map) {
    byId("map-panel").remove();
    return;
  }
  byId("map-caption").textContent = `${map.caption} A click plays a clip; mistakes have an outline.`;
  const pad = 30;
  const size = data.clips.length > 1000 ? 7 : data.clips.length > 200 ? 11 : 16;
  const svg = shape("svg", {
    viewBox: `${-pad} ${-pad} ${1000 + 2 * pad} ${Math.max(map.height, 200) + 2 * pad}`, role: "img",
    "aria-label": "Map of the clips; all of them are in the list as well.",
  });
  const places = data.clips.map((_, row) => row).filter((row) => map.points[row]);
  places.sort((a, b) => data.clips[b].order - data.clips[a].order); // mistakes on top
  for (const row of places) {
    const clip = data.clips[row];
    const code = data.isTags ? (clip.right === false ? 5 : 0) : clip.truth[0];
    const { color, path } = marker(code);
    const [x, y] = map.points[row];
    const r = clip.right === false ? 1.25 * size : size;
    const point = shape("path", {
      d: path, transform: `translate(${x} ${y}) scale(${r})`, "data-row": row,
      class: outcomeOf(clip) + (data.sounds[row] ? "" : " mute"),
    });
    point.style.fill = color;
    svg.append(point);
  }
  svg.addEventListener("click", (event) => {
    const { row } = event.target.dataset;
    if (row !== undefined) select(Number(row), { play: true });
  });
  svg.addEventListener("mouseover", (event) => {
    const clip = data.clips[event.target.dataset.row];
    byId("map-hover").textContent = clip ? `${clip.name}: ${truthOf(clip)}`
      + (clip.right ? "" : `, predicted ${saidOf(clip)}`) : "";
  });
  byId("map").append(svg);
  drawLegend();
}

function drawLegend() {
  const entries = data.isTags ? [["all tags right", 0], ["a tag wrong", 5]]
    : data.classes.map((name, code) => [name, code]);
  if (entries.length > 24) return;
  byId("legend").append(...entries.map(([name, code]) => {
    const { color, path } = marker(code);
    const icon = shape("svg", { viewBox: "-1.6 -1.6 3.2 3.2", "aria-hidden": "true" });
    const drawn = shape("path", { d: path });
    drawn.style.fill = color;
    icon.append(drawn);
    return element("li", {}, icon, name);
  }));
}

const sorting = { column: null, sign: 1 };

function drawScores() {
  const { columns } = data.scores;
  if (data.isTags) byId("scores-title").textContent = "Scores per tag";
  const heads = ["Clips", ...columns].map((name, i) => {
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => {
      sorting.sign = sorting.column === i ? -sorting.sign : 1;
      sorting.column = i;
      fillScores();
    });
    return element("th", { scope: "col" }, button);
  });
  byId("scores").append(
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, data.isTags ? "Tag" : "Class"), ...heads)),
    element("tbody"));
  fillScores();
}

function fillScores() {
  const { rows } = data.scores;
  const value = (code) => {
    const of = rows[code][sorting.column];
    return Array.isArray(of) ? of[0] : of;
  };
  const compare = (a, b) => (value(a) === null) - (value(b) === null)
    || sorting.sign * (value(a) - value(b));
  const order = rows.map((_, code) => code);
  if (sorting.column !== null) order.sort(compare); // what is not defined is last
  document.querySelectorAll("#scores thead th:not(:first-child)").forEach((head, i) => {
    const direction = sorting.sign > 0 ? "ascending" : "descending";
    head.setAttribute("aria-sort", i === sorting.column ? direction : "none");
  });
  document.querySelector("#scores tbody").replaceChildren(...order.map((code) => {
    const [n, ...figures] = rows[code];
    const name = element("button", { type: "button", "data-truth": code, "aria-pressed": "false" }, data.classes[code]);
    name.addEventListener("click", () => filterBy(code, ""));
    return element("tr", {}, element("th", { scope: "row" }, name),
      element("td", {}, String(n)), ...figures.map(figure));
  }));
  markFilters();
}

function figure([value, low, high]) {
  if (value === null) return element("td", { class: "none" }, "–");
  const made = element("td", {}, value.toFixed(2));
  if (low === null) return made;
  const whisker = element("span", { class: "whisker", "aria-hidden": "true" }, element("i"), element("b"));
  whisker.firstChild.style.left = `${100 * low}%`;
  whisker.firstChild.style.width = `${100 * (high - low)}%`;
  whisker.lastChild.style.left = `${100 * value}%`;
  made.append(element("small", {}, `${low.toFixed(2)}–${high.toFixed(2)}`), whisker);
  return made;
}

// ------------------------------------------------------------------------ controls
function options(field, texts) {
  field.append(...texts.map(([value, text]) => element("option", { value }, text)));
}

function drawFilters() {
  const names = data.classes.map((name, code) => [code, name]);
  const any = data.isTags ? "any tag" : "any class";
  options(fields.outcome, [["", "all clips"], ["wrong", "mistakes"], ["right", "right"]]);
  if (data.clips.some((clip) => clip.right === null)) options(fields.outcome, [["unknown", "no verdict"]]);
  options(fields.truth, [["", any], ...names]);
  options(fields.said, [["", any], ...names]);
  options(fields.sorting, Object.keys(ORDERS).map((name) => [name, name]));
  if (data.isTags) {
    byId("truth-label").textContent = "Has tag";
    byId("said-label").textContent = "Predicted tag";
  }
  for (const field of Object.values(fields)) field.addEventListener("input", refresh);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", clearFilters);
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("open-help").addEventListener("click", () => byId("help").showModal());
  byId("list").addEventListener("click", (event) => {
    const shown = event.target.closest("#list > li[data-row]");
    if (shown && !event.target.closest("button, .picture")) select(Number(shown.dataset.row));
  });
}

const KEYS = {
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  " ": () => {
    if (state.current === null) move(1);
    if (cardOf(state.current)) toggle(cardOf(state.current));
  },
  m: () => {
    fields.outcome.value = fields.outcome.value === "wrong" ? "" : "wrong";
    refresh();
  },
  "/": () => fields.search.focus(),
  "?": () => byId("help").showModal(),
  Escape: clearFilters,
};

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  const isTyping = target.matches("input, select");
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (isTyping && key !== "Escape") return;
  if (key === " " && target.matches("button, summary")) return;
  if (!Object.hasOwn(KEYS, key)) return;
  event.preventDefault();
  if (isTyping) target.blur();
  KEYS[key]();
});

drawFigures();
drawFilters();
drawConfusion();
drawMap();
drawScores();
if (innerWidth < 700) {
  byId("scores-panel").open = byId("notes-panel").open = false;
}
refresh();

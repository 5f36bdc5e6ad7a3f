"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const place = byId("debate");
  if (!place) return;
  const list = byId("filter-list"); // only on an arm's page
  const matches = byId("matches");
  const keys = ["arm", "checkpoint", "matchup", "sides", "outcome"];
  const filters = Object.fromEntries(keys.map((key) => [key, byId(`filter-${key}`)]));
  const words = {
    outcome: { right: "right", wrong: "wrong", undecided: "undecided (even)", invalid: "INVALID" },
    matchup: { self: "itself", base: "a base debater" },
    sides: { AB: "A and B", A: "A", B: "B" },
  };
  const LISTED = 100; // of the debates that are found: a browser takes seconds to lay out ten thousand options
  let found = [];
  let current = 0;
  let waiting = 0; // the timer of a debate that has yet to be shown

  // Debater text is untrusted: text reaches the page through text nodes only.
  function make(name, options = {}, ...children) {
    const node = document.createElement(name);
    if (options.class) node.className = options.class;
    for (const [key, value] of Object.entries(options.attributes || {})) node.setAttribute(key, value);
    if (options.click) node.addEventListener("click", options.click);
    node.append(...children.filter((child) => child !== null));
    return node;
  }

  function draw(name, attributes, text) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }

  const percent = (share) => `${(100 * share).toFixed(0)}\u00a0%`;
  const known = (share) => typeof share === "number";

  function fill(select, everything, values, words = {}) {
    select.append(make("option", { attributes: { value: "" } }, everything));
    for (const value of values) select.append(make("option", { attributes: { value } }, words[value] || value));
  }

  // The blocks of trainer/report/packed.py. Some stand before this script; the others may still be on their way.
  const early = new Set([...document.querySelectorAll("script[id]")].map((script) => script.id));
  const parsed = new Promise((done) => addEventListener("DOMContentLoaded", done));
  const blocks = new Map(); // each is unpacked once, when it is needed
  function unpack(name, read) {
    if (!blocks.has(name)) blocks.set(name, unpackNow(`packed-${name}`, read));
    return blocks.get(name);
  }

  async function unpackNow(id, read) {
    if (!early.has(id)) await parsed;
    return new Response(unzipped(byId(id).textContent))[read]();
  }

  function unzipped(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
    return new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  }

  if (typeof DecompressionStream === "undefined") {
    place.append(make("p", { class: "absent" }, "This browser cannot unpack the debates; one of 2023 or later can."));
    byId("debates").ariaBusy = "false";
    return;
  }
  const { debates, starts } = await unpack("index", "json");

  // An item of the lists that were cut into blocks: the rest of a debate, or a passage.
  async function item(kind, number) {
    const start = starts[kind].findLast((start) => start <= number);
    return (await unpack(`${kind}-${start}`, "json"))[number - start];
  }

  async function whole(debate) {
    const parts = [item("debates", debates.indexOf(debate)), item("passages", debate.passage)];
    const [rest, passage] = await Promise.all(parts);
    return { ...debate, ...rest, passage };
  }

  // Where the lists of debates begin that hold the first word, the second, …: each ends with a 0, see packed.py.
  let begins = null;
  async function wordIndex() {
    const [words, buffer] = await Promise.all([unpack("words", "json"), unpack("postings", "arrayBuffer")]);
    const bytes = new Uint8Array(buffer);
    if (!begins) {
      begins = [0];
      for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, end + 1)) begins.push(end + 1);
    }
    return { words, bytes };
  }

  // The debates that hold every word looked for, or words that it is a part of: 1 at their numbers. All: null.
  async function holding(wanted) {
    const parts = wanted.toLowerCase().match(/[\p{L}\p{N}_]+/gu);
    if (!parts) return null;
    const { words, bytes } = await wordIndex();
    const each = parts.map((part) => {
      const hits = new Uint8Array(debates.length);
      words.forEach((word, place) => word.includes(part) && tick(hits, bytes, begins[place]));
      return hits;
    });
    return each.reduce((all, hits) => all.map((hit, number) => hit & hits[number]));
  }

  function tick(hits, bytes, start) {
    let [number, step, shift] = [-1, 0, 0];
    for (let place = start; ; place += 1) {
      step |= (bytes[place] & 127) << shift;
      shift += 7;
      if (bytes[place] > 127) continue;
      if (!step) return;
      number += step;
      hits[number] = 1;
      step = shift = 0;
    }
  }

  // Narrows what is found; says whether no later search has overtaken it.
  let searches = 0;
  async function search() {
    searches += 1;
    const mine = searches;
    byId("debates").ariaBusy = "true";
    const hits = await holding(byId("filter-text").value);
    if (mine !== searches) return false;
    const chosen = Object.entries(filters).map(([key, select]) => [key, select.value]).filter(([, value]) => value);
    const which = list?.value;
    const rank = (debate) => debate.ranks?.[which];
    found = debates.filter(
      (debate, number) =>
        (!hits || hits[number]) && chosen.every(([key, value]) => debate[key] === value) && (!which || known(rank(debate))),
    );
    if (which) found.sort((one, other) => rank(one) - rank(other));
    matches.disabled = !found.length;
    listFrom(0);
    point(0);
    return true;
  }

  // The list comes first and the debate, which takes longer to lay out, when the list is on the screen.
  async function searchAsTyped() {
    if (!(await search())) return;
    requestAnimationFrame(() => {
      waiting ||= setTimeout(() => show(current));
    });
  }

  // Lists the debates that are found from this one on, and says where more of them are left out.
  function listFrom(start) {
    const end = Math.min(start + LISTED, found.length);
    const options = found.slice(start, end).map((debate, index) => make("option", { attributes: { value: start + index } }, inOneLine(debate)));
    const left = (number, where) => make("option", { attributes: { value: "", disabled: "" } }, `… ${number} more ${where}: narrow the search, or step on`);
    if (start) options.unshift(left(start, "before these"));
    if (end < found.length) options.push(left(found.length - end, "after these"));
    matches.replaceChildren(...options);
  }

  function inOneLine(debate) {
    const { last } = debate;
    const gave = known(last) && debate.correct ? `${percent(debate.correct === "A" ? last : 1 - last)} for the right answer` : "";
    const sign = { right: "✓", wrong: "✗", undecided: "=", invalid: "–" }[debate.outcome];
    const against = debate.matchup === "base" ? "against base" : "";
    return [`${sign} ${short(debate.question)}`, debate.id, gave, debate.checkpoint, against].filter(Boolean).join(" · ");
  }

  // A link "#debate=7" elsewhere on the page: shows that debate, whatever the filters were.
  async function follow() {
    const place = /^#debate=(\d+)$/.exec(location.hash);
    const debate = place && debates[Number(place[1])];
    if (!debate) return;
    byId("filters").reset();
    await search();
    await show(found.indexOf(debate));
    byId("debate").querySelector("h3").focus();
    byId("debates").scrollIntoView();
  }

  // Of two debates that are unpacked at once, only the one that was asked for last is shown.
  let shown = 0;
  async function show(index) {
    clearTimeout(waiting);
    waiting = 0;
    point(index);
    shown += 1;
    const mine = shown;
    byId("debates").ariaBusy = "true";
    const nodes = found.length ? debateNodes(await whole(found[current])) : [make("p", { class: "absent" }, "No debate fits these filters.")];
    if (mine !== shown) return;
    place.replaceChildren(...nodes);
    byId("debates").ariaBusy = "false";
  }

  function point(index) {
    current = index;
    const listed = () => [...matches.options].findIndex((option) => option.value === String(index));
    if (found.length && listed() < 0) listFrom(index - (index % LISTED));
    matches.selectedIndex = found.length ? listed() : -1;
    byId("previous").disabled = byId("next").disabled = found.length < 2;
    byId("position").textContent = found.length ? `${current + 1} of ${found.length}` : "none";
  }

  function debateNodes(debate) {
    const against = { self: "against itself", base: "against the base debater" }[debate.matchup] || debate.matchup;
    const verdict = {
      right: "✓ The judge was right.",
      wrong: "✗ The judge was wrong.",
      undecided: "The judge was undecided: exactly even.",
      invalid: "INVALID: no verdict could be read.",
    }[debate.outcome];
    const about = [debate.arm, debate.checkpoint, against, debate.protocol, debate.judge && `judge ${debate.judge}`, debate.id];
    return [
      make("h3", { attributes: { tabindex: "-1" } }, debate.question),
      make("p", { class: "about" }, about.filter(Boolean).join(" · ")),
      make("p", {}, make("strong", {}, verdict), finalWords(debate)),
      ...readAs(debate),
      make("ul", { class: "sides" }, side(debate, "A"), side(debate, "B")),
      make("div", { class: "columns" }, speechesNode(debate), passageNode(debate)),
    ];
  }

  function finalWords(debate) {
    const { last } = debate;
    if (!known(last)) return null;
    const side = last >= 0.5 ? "A" : "B";
    return ` After the last speech it gave side ${side}, “${answerOf(debate, side)}”, ${percent(Math.max(last, 1 - last))}.`;
  }

  // A judge that reads the transcript first knows the sides by other names until the letters are told.
  function readAs(debate) {
    const { A, B } = debate.readAs;
    if (!A || !B) return [];
    const words = `The judge read side A as debater ${A} and side B as debater ${B}; it was told the letters after the last speech.`;
    return [make("p", { class: "about" }, words)];
  }

  const short = (text) => (text.length > 60 ? `${text.slice(0, 58)}…` : text);
  const answerOf = (debate, side) => debate.answers[side === "A" ? 0 : 1];

  function side(debate, side) {
    const right = debate.correct === side;
    const silent = !debate.speeches.some((speech) => speech.side === side);
    const standing = right ? "✓ the right answer" : debate.correct ? "✗ the wrong answer" : "not known whether right";
    return make(
      "li",
      { class: right ? "correct" : "" },
      make("small", {}, silent ? `Side ${side} (nobody speaks for it)` : `Side ${side} argues for`),
      make("b", {}, answerOf(debate, side)),
      make("small", {}, standing),
    );
  }

  function speechesNode(debate) {
    const node = make("div", {}, make("h4", {}, "Speeches"));
    if (known(debate.p[0])) {
      node.append(make("p", { class: "about" }, `Before any speech the judge gives A ${percent(debate.p[0])}.`));
    }
    debate.speeches.forEach((speech, index) => {
      if (debate.asked[index]) node.append(make("p", { class: "about" }, `The judge asks: ${debate.asked[index]}`));
      node.append(speechNode(debate, speech, index));
    });
    if (debate.p.some(known)) node.append(probabilityNode(debate));
    return node;
  }

  function speechNode(debate, speech, index) {
    const who = [speech.policy && `debater “${speech.policy}”`, known(speech.version) && `version ${speech.version}`];
    who.push(known(speech.words) && `${speech.words} words`);
    const words = make("p", { class: "words" });
    for (const piece of speech.pieces) words.append(...(piece.quote ? quoteNodes(debate, piece) : [piece.text]));
    return make(
      "article",
      { class: `speech side-${speech.side.toLowerCase()}` },
      make(
        "p",
        { class: "who" },
        make("b", {}, `${index + 1}. Speaker ${speech.label}`),
        [` for “${short(answerOf(debate, speech.side))}”`, ...who.filter(Boolean)].join(" · "),
      ),
      speech.private ? make("details", {}, make("summary", {}, "Private thoughts"), make("p", { class: "words" }, speech.private)) : null,
      words,
      judgeNow(debate, index),
    );
  }

  function judgeNow(debate, index) {
    const [before, after] = [debate.p[index], debate.p[index + 1]];
    if (!known(after)) return null;
    const moved = known(before) ? Math.round(100 * after) - Math.round(100 * before) : 0;
    const change = moved ? `, ${Math.abs(moved)} ${Math.abs(moved) === 1 ? "point" : "points"} towards ${moved > 0 ? "A" : "B"}` : "";
    return make("p", { class: "judge" }, `Judge now: A ${percent(after)}, B ${percent(1 - after)}${change}`);
  }

  function quoteNodes(debate, piece) {
    const { number, status, negated } = piece.quote;
    const good = status !== "unverified";
    const note = `${good ? "✓" : "✗"} ${number} ${good ? status : "not in the passage"}${negated ? ", after a negation" : ""}`;
    const words = make("span", { class: good ? "quoted" : "quoted bad" }, piece.text);
    const marked = debate.marks.some((mark) => mark.quotes.includes(number));
    if (!marked) return [words, make("span", { class: "note" }, note)];
    const attributes = { type: "button", id: `quote-${number}`, title: "Show it in the passage" };
    return [words, make("button", { class: "note", attributes, click: () => jump(number) }, note)];
  }

  function jump(number) {
    const box = byId("passage");
    for (const mark of box.querySelectorAll("mark")) {
      mark.classList.toggle("current", mark.dataset.quotes.split(" ").includes(String(number)));
    }
    const target = box.querySelector("mark.current");
    box.scrollTop = target.offsetTop - box.clientHeight / 3;
    box.scrollIntoView({ block: "nearest" });
    byId("passage-note").textContent = `Quote ${number} is framed below.`;
  }

  function passageNode(debate) {
    const text = debate.passage;
    if (!text) return make("div", { class: "passage-side" }, make("p", { class: "absent" }, "No passage is stored."));
    const attributes = { id: "passage", tabindex: "0", role: "region", "aria-label": "Passage" };
    const box = make("div", { class: "passage", attributes });
    let position = 0;
    for (const mark of debate.marks) {
      box.append(text.slice(position, mark.start));
      const numbers = mark.quotes.join(" ");
      box.append(
        make(
          "mark",
          { attributes: { "data-quotes": numbers, title: `Quote ${mark.quotes.join(", ")}` } },
          text.slice(mark.start, mark.end),
          make("sup", {}, mark.quotes.join(",")),
        ),
      );
      position = mark.end;
    }
    box.append(text.slice(position));
    return make("div", { class: "passage-side" }, make("h4", {}, "Passage"), jumpBar(debate), box);
  }

  function jumpBar(debate) {
    const numbers = [...new Set(debate.marks.flatMap((mark) => mark.quotes))].sort((a, b) => a - b);
    if (!numbers.length) return make("p", { class: "jump" }, "Nothing in it was quoted.");
    const buttons = numbers.map((number) =>
      make("button", { class: "note", attributes: { type: "button" }, click: () => jump(number) }, String(number)),
    );
    const note = make("span", { attributes: { id: "passage-note", role: "status" } });
    return make("div", { class: "jump" }, "Show quote", ...buttons, note);
  }

  // The judge's probability as steps: it holds from one speech to the next.
  function probabilityNode(debate) {
    const [width, height, left, right, top, bottom] = [520, 190, 54, 14, 26, 40];
    const across = (index) => left + ((index + 0.5) * (width - left - right)) / debate.p.length;
    const down = (share) => top + (1 - share) * (height - top - bottom);
    const half = (width - left - right) / debate.p.length / 2;
    const words = debate.p.map((share, i) => `${i ? `after speech ${i}` : "before"} ${known(share) ? percent(share) : "INVALID"}`);
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": `Judge's probability for A: ${words.join(", ")}` });
    for (const share of [0, 0.5, 1]) {
      svg.append(draw("path", { d: `M${left},${down(share)}H${width - right}`, class: share === 0.5 ? "guide" : "grid" }));
      svg.append(draw("text", { x: left - 7, y: down(share) + 4, "text-anchor": "end" }, percent(share)));
    }
    let path = "";
    let previous = false;
    debate.p.forEach((share, index) => {
      const speech = debate.speeches[index - 1];
      svg.append(draw("text", { x: across(index), y: height - bottom + 17, "text-anchor": "middle" }, speech ? `${index}. ${speech.label}` : index ? `${index}.` : "before"));
      if (known(share)) {
        path += `${previous ? "V" : `M${across(index) - half},`}${down(share)}H${across(index) + half}`;
        svg.append(draw("text", { x: across(index), y: down(share) - 6, "text-anchor": "middle", class: "number" }, percent(share)));
      }
      previous = known(share);
    });
    svg.append(draw("path", { d: path, class: "line c0" }));
    svg.append(draw("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "after speech"));
    const caption = make("figcaption", {}, make("strong", {}, "The judge's probability for A"));
    caption.append(make("small", {}, `up: “${short(debate.answers[0])}” (A); down: “${short(debate.answers[1])}” (B)`));
    return make("figure", { class: "probability" }, caption, svg);
  }

  const distinct = (key) => [...new Set(debates.map((debate) => debate[key]))].filter(Boolean);
  for (const key of keys) {
    const values = distinct(key);
    fill(filters[key], key === "outcome" ? "right or wrong" : "all", values, words[key]);
    filters[key].parentElement.hidden = values.length < 2;
  }
  byId("filters").hidden = byId("found").hidden = false;
  byId("filters").addEventListener("input", searchAsTyped);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("previous").addEventListener("click", () => show((current + found.length - 1) % found.length));
  byId("next").addEventListener("click", () => show((current + 1) % found.length));
  matches.addEventListener("change", () => matches.value !== "" && show(Number(matches.value)));
  addEventListener("hashchange", follow);
  addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#debate="]');
    if (link && link.hash === location.hash) follow(); // no change of the hash tells of a second click
  });
  await search();
  await show(0);
  await follow();
})();

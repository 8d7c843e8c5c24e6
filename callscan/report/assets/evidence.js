// The words: a list of which only the rows in view exist, so that fifty thousand are as quick as fifty.
const DATA = JSON.parse(document.getElementById("data").textContent);
const R = DATA.report, HITS = DATA.hits, CALLS = DATA.calls;
const issueById = new Map(R.issues.map((issue) => [issue.id, issue]));
const issueLabel = (id) => (issueById.has(id) ? issueById.get(id).label[language] || id : id);
const callOf = (hit) => { const call = HITS.call[hit]; return Object.fromEntries(Object.entries(CALLS).map(([name, column]) => [name, column[call]])); };
const issueOf = (hit) => HITS.issues[HITS.issue[hit]];
const fold = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();

// What is shown: an issue, a value of a column, words, a call. The address holds it, so that back and links work.
let chosen = {};
let searched = null; // the folded text of every hit, made on the first search

function readAddress() {
  chosen = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (chosen.issue && !issueById.has(chosen.issue)) delete chosen.issue;
}
function address(changes) {
  const next = { ...chosen, ...changes };
  for (const name of Object.keys(next)) if (next[name] === undefined || next[name] === "") delete next[name];
  return "#" + new URLSearchParams(next).toString();
}

function matching() {
  const wanted = chosen.issue === undefined ? -1 : HITS.issues.indexOf(chosen.issue), words = chosen.q ? fold(chosen.q).split(/\s+/).filter(Boolean) : [];
  const column = chosen.column ? CALLS["by " + chosen.column] : null;
  if (words.length && !searched) searched = HITS.quote.map((quote, hit) => { const call = HITS.call[hit]; return fold(`${quote} ${HITS.context[hit]} ${CALLS.call_id[call]}`); });
  const found = [];
  for (let hit = 0; hit < HITS.call.length; hit++) {
    const call = HITS.call[hit];
    if (chosen.issue !== undefined && HITS.issue[hit] !== wanted) continue;
    if (column && (column[call] ?? "") !== (chosen.value ?? "")) continue;
    if (chosen.since && !(CALLS.start[call] && CALLS.start[call].slice(0, 10) >= chosen.since)) continue;
    if (words.length && !words.every((word) => searched[hit].includes(word))) continue;
    found.push(hit);
  }
  return found;
}

// A quote inside what was said around it.
function said(hit) {
  const context = HITS.context[hit], quote = HITS.quote[hit], at = context.toLowerCase().indexOf(quote.toLowerCase());
  if (at < 0) return [h("mark", {}, quote), context && context !== quote ? " — " + context : ""];
  const start = Math.max(0, at - 90);
  return [(start ? "…" : "") + context.slice(start, at), h("mark", {}, context.slice(at, at + quote.length)), context.slice(at + quote.length)];
}
const who = (hit) => t(HITS.speakers[HITS.speaker[hit]]);

function evidenceList(hits) {
  const rowHeight = matchMedia("(max-width: 700px)").matches ? 96 : 68;
  const rows = h("div", { class: "rows", role: "list" }), list = h("div", { class: "list", tabindex: "-1", id: "list" }, rows), shown = new Map();
  rows.style.height = hits.length * rowHeight + "px";
  const row = (index) => {
    const hit = hits[index], call = callOf(hit);
    const node = h("button", { type: "button", class: "row", "data-index": index, onclick: () => { location.hash = address({ hit }); } },
      h("span", { class: "time" }, clock(HITS.start[hit])),
      h("span", { class: "who" }, who(hit), chosen.issue ? null : h("span", { class: "said" }, issueLabel(issueOf(hit)))),
      h("span", { class: "words" }, said(hit)),
      h("span", { class: "of" }, h("b", {}, call.call_id), [call.start ? call.start.slice(0, 16).replace("T", " ") : null, call.queue].filter(Boolean).join(" · ")));
    node.style.top = index * rowHeight + "px";
    node.style.height = rowHeight + "px";
    return h("div", { role: "listitem", "aria-setsize": hits.length, "aria-posinset": index + 1 }, node);
  };
  const draw = () => {
    const first = Math.max(0, Math.floor(list.scrollTop / rowHeight) - 8), last = Math.min(hits.length, Math.ceil((list.scrollTop + (list.clientHeight || 620)) / rowHeight) + 8);
    for (const [index, node] of shown) if (index < first || index >= last) { node.remove(); shown.delete(index); }
    for (let index = first; index < last; index++) if (!shown.has(index)) { const node = row(index); shown.set(index, node); rows.append(node); }
  };
  list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -hits.length, End: hits.length }[event.key];
    const focused = document.activeElement.closest(".row");
    if (!step || !focused) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(hits.length - 1, Number(focused.dataset.index) + step));
    const top = index * rowHeight;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight;
    draw();
    shown.get(index).firstChild.focus({ preventScroll: true });
  });
  requestAnimationFrame(draw);
  return list;
}

function evidence() {
  const hits = matching(), calls = new Set(hits.map((hit) => HITS.call[hit])).size;
  const chips = [];
  if (chosen.issue) chips.push([issueLabel(chosen.issue), { issue: undefined }]);
  if (chosen.column) chips.push([`${columnName(chosen.column)} : ${valueName(chosen.column, chosen.value || null)}`, { column: undefined, value: undefined }]);
  if (chosen.since) chips.push([`≥ ${date(chosen.since)}`, { since: undefined }]);
  let timer = 0;
  const input = h("input", { type: "search", id: "search", value: chosen.q || "", placeholder: t("search"), "aria-label": t("search"),
    oninput: () => { clearTimeout(timer); timer = setTimeout(() => { history.replaceState(null, "", address({ q: input.value, hit: undefined })); readAddress(); drawEvidence(); }, 180); } });
  return [h("p", { class: "sub", role: "status", id: "evidence-count" }, t("evidence_count", number(hits.length), number(calls))),
    HITS.call.length < HITS.total ? h("p", { class: "note" }, t("evidence_sample", number(HITS.call.length), number(HITS.total))) : null,
    h("div", { class: "filters" }, input, chips.map(([label, change]) => h("button", { type: "button", class: "chip", "aria-label": t("clear", label), onclick: () => { location.hash = address({ ...change, hit: undefined }); } }, label + " ×"))),
    hits.length ? evidenceList(hits) : h("p", { class: "note" }, t("nothing"))];
}
function drawEvidence() {
  const place = document.getElementById("evidence-body"), typing = document.activeElement && document.activeElement.id === "search";
  const at = typing ? document.activeElement.selectionStart : 0;
  place.replaceChildren(...evidence().filter(Boolean));
  if (typing) { const input = document.getElementById("search"); input.focus(); input.setSelectionRange(at, at); }
}

const BROWSERS_PLAY = new Set(["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_alaw", "pcm_mulaw", "mp3", "mp3float", "aac", "opus", "vorbis", "flac", ""]);

// One call: its sound at the very second, and everything that was found in it.
function openCall(hit) {
  const dialog = document.getElementById("call"), call = callOf(hit), others = [];
  for (let one = 0; one < HITS.call.length; one++) if (HITS.call[one] === HITS.call[hit]) others.push(one);
  others.sort((a, b) => HITS.start[a] - HITS.start[b]);
  const playable = call.href && BROWSERS_PLAY.has(call.codec || "");
  const trouble = h("p", { class: "note", role: "status" });
  const audio = playable ? h("audio", { controls: true, preload: "none", src: `${call.href}#t=${HITS.start[hit].toFixed(2)}`, onerror: () => { trouble.textContent = t("failed_play"); } }) : null;
  const play = (second) => { if (audio) { audio.currentTime = second; audio.play().catch(() => { trouble.textContent = t("failed_play"); }); } };
  const facts = [call.start ? call.start.slice(0, 16).replace("T", " ") : null, call.queue, call.agent, call.duration ? clock(call.duration) : null].filter(Boolean).join(" · ");
  dialog.replaceChildren(
    h("header", {}, h("h2", { id: "call-title" }, call.call_id), h("button", { type: "button", class: "quiet", id: "close", onclick: () => dialog.close() }, t("close"))),
    h("p", { class: "facts" }, facts),
    audio || h("p", { class: "note" }, call.href ? t("unplayable", call.codec) : t("no_link", call.uri)), trouble,
    call.href ? h("p", { class: "note" }, h("a", { href: `${call.href}#t=${HITS.start[hit].toFixed(2)}`, target: "_blank", rel: "noopener" }, t("open"))) : "",
    h("ol", { class: "moments" }, others.map((one) => h("li", { class: one === hit ? "here" : "", "data-start": HITS.start[one] },
      audio ? h("button", { type: "button", class: "play", "aria-label": t("listen", clock(HITS.start[one])), onclick: () => play(HITS.start[one]) }, "▶ " + clock(HITS.start[one])) : h("span", { class: "time" }, clock(HITS.start[one])),
      h("div", {}, h("span", { class: "tag" }, issueLabel(issueOf(one))), " ", h("span", { class: "who" }, who(one)), h("div", {}, said(one)),
        h("div", { class: "proof" }, t("proof", `${number(HITS.start[one], 2)}–${number(HITS.end[one], 2)} s`, HITS.patterns[HITS.pattern[one]], R.lexicon.digest.slice(0, 12), number(HITS.probability[one], 2))))))));
  if (!dialog.open) dialog.showModal();
  const button = dialog.querySelector(".here .play") || dialog.querySelector("#close");
  button.focus();
}

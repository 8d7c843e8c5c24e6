// The page, from completeness down to the words.
const head = (title, note) => [h("h2", {}, title), note ? h("p", { class: "note" }, note) : null];
const section = (id, ...children) => h("section", { id }, ...children);

function coverage() {
  const c = R.coverage, parts = ["scanned", "no_speech", "degraded", "quarantined", "duplicate", "deferred"];
  const whole = R.complete;
  const meta = R.metadata;
  return section("coverage", head(t("coverage")), h("div", { class: "card" },
    h("p", { class: "verdict " + (whole ? "ok" : "short") }, c.discovered === 0 ? t("empty") : whole ? t("complete") : t("incomplete", number(R.calls))),
    h("p", {}, c.discovered === 1 ? t("discovered1") : t("discovered", number(c.discovered))),
    h("div", { class: "ledger", "aria-hidden": "true" }, parts.filter((part) => c[part]).map((part) => h("i", { class: part, style: { flex: `${c[part]} 1 0` } }))),
    h("ul", { class: "key" }, parts.map((part) => h("li", { class: c[part] ? "" : "zero" }, h("i", { class: part }), h("b", {}, number(c[part])), " ", t(part)))),
    R.cut.undated && R.last_day ? h("p", { class: "note" }, t("undated", number(R.cut.undated))) : null,
    meta ? h("p", { class: "note" }, t("metadata", number(meta.rows), number(meta.rows_without_call), number(meta.ambiguous), number(meta.calls_without_row))) : null,
    R.failure_reasons.length ? h("details", {}, h("summary", {}, t("reasons")),
      h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { class: "number" }, t("recordings")), h("th", {}, ""), h("th", {}, t("reason")))),
        h("tbody", {}, R.failure_reasons.map((one) => h("tr", {}, h("td", { class: "number" }, number(one.calls)), h("td", {}, t(one.status)), h("td", {}, [one.reason, one.meaning].filter(Boolean).join(" – "))))))),
      R.failures.length ? h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("file")), h("th", {}, t("reason")), h("th", {}, t("detail")))),
        h("tbody", {}, R.failures.slice(0, 200).map((one) => h("tr", {}, h("td", {}, one.uri), h("td", {}, one.reason), h("td", {}, one.detail)))))) : null,
      R.coverage.quarantined + R.coverage.degraded + R.coverage.deferred > 200 ? h("p", { class: "note" }, t("more", number(R.coverage.quarantined + R.coverage.degraded + R.coverage.deferred - 200))) : null) : null));
}

function alerts() {
  if (!R.last_day) return null;
  const cards = R.alerts.map((one) => h("article", { class: `card alert ${one.level}` },
    h("h3", {}, h("span", { class: "level" }, t(one.level)), h("a", { href: address({ issue: one.issue, column: one.column || undefined, value: one.column ? one.value : undefined, since: one.since, hit: undefined }) }, issueLabel(one.issue)),
      one.column ? ` · ${columnName(one.column)} ${valueName(one.column, one.value)}` : ""),
    h("p", {}, t("alert_line", number(one.calls), number(one.of), date(one.since), number(one.expected, 1)), one.ratio === null ? "" : ", " + t("alert_ratio", number(one.ratio, 1)), "."),
    one.examples.length ? h("p", { class: "note" }, [...new Set(one.examples.map((example) => quoted(example.quote)))].join("  ")) : null,
    h("details", {}, h("summary", {}, t("arithmetic")), h("p", { class: "note" }, t("alert_how", number(one.baseline_calls), number(one.baseline_of), date(one.baseline_since), date(one.baseline_until), number(one.dispersion, 2), small(one.ears_p), number(one.cusum, 1), small(one.cusum_p), small(one.p_value), small(one.q_value), number(one.series))))));
  // The day that was tested: the last one with calls that could be heard.
  const tested = (R.slices.day || []).reduce((last, slice) => (slice.value > last ? slice.value : last), "") || R.last_day;
  return section("alerts", head(t("alerts", date(tested))), cards.length ? h("div", {}, cards) : h("p", { class: "note" }, R.alert_series ? t("no_alerts", number(R.alert_series)) : t("no_history")));
}

function issueTable() {
  const top = scaleOf(R.issues), dated = R.issues.some((issue) => (issue.by.day || []).length > 2);
  const row = (issue) => h("tr", { class: issue.calls ? "" : "none", "aria-selected": String(chosen.issue === issue.id), onclick: (event) => { if (!event.target.closest("a")) location.hash = address({ issue: issue.id, hit: undefined }); } },
    h("td", {}, h("a", { href: address({ issue: issue.id, hit: undefined }) }, issue.label[language] || issue.id), issue.speaker ? h("span", { class: "said" }, t("said_by", t(issue.speaker))) : null),
    h("td", { class: "number" }, rate(issue)), h("td", { class: "bar" }, bar(issue, top)),
    h("td", { class: "number" }, number(issue.calls)), h("td", { class: "number hide" }, number(issue.hits)),
    dated ? h("td", { class: "spark" }, spark(issue)) : null,
    dated ? h("td", { class: "hide" }, change(issue.trend)) : null);
  return section("issues", head(t("issues"), t("issues_note")), h("div", { class: "card scroll" }, h("table", { class: "issues" },
    h("thead", {}, h("tr", {}, h("th", {}, t("issue")), h("th", { class: "number" }, t("per100")), h("th", {}, t("interval")), h("th", { class: "number" }, t("calls")), h("th", { class: "number hide" }, t("hits")), dated ? h("th", { class: "spark" }, t("trend")) : null, dated ? h("th", { class: "hide" }) : null)),
    h("tbody", {}, R.issues.map(row)))), h("p", { class: "note" }, t("of_calls", number(R.calls))));
}
function change(trend) {
  if (!trend || trend.ratio === null) return "";
  const percent = Math.round(100 * (trend.ratio - 1));
  return h("span", { class: trend.p_value < 0.05 ? "rising" : "sub", title: `p = ${small(trend.p_value)}` }, (percent > 0 ? "+" : percent < 0 ? "−" : "") + Math.abs(percent) + " %");
}

function cellsTable(column, cells, choose) {
  const top = scaleOf(cells), ranked = cells.slice().sort((a, b) => (b.calls_per_100 ?? -1) - (a.calls_per_100 ?? -1) || b.of - a.of);
  const line = (cell) => h("tr", {}, h("td", {}, CALLS["by " + column] ? h("a", { href: address({ ...choose, column, value: cell.value ?? "", hit: undefined }) }, valueName(column, cell.value)) : valueName(column, cell.value)),
    h("td", { class: "number" }, rate(cell)), h("td", { class: "bar" }, bar(cell, top)), h("td", { class: "number sub" }, `${number(cell.calls)} / ${number(cell.of)}`));
  const table = (rows) => h("table", {}, h("tbody", {}, rows.map(line)));
  return h("div", { class: "card scroll" }, h("h3", {}, t("by", columnName(column))), table(ranked.slice(0, 8)),
    ranked.length > 8 ? h("details", {}, h("summary", {}, "+ " + number(ranked.length - 8)), table(ranked.slice(8, 400))) : null);
}

function arcChart(arc) {
  const total = arc.start + arc.middle + arc.end;
  if (!total) return null;
  const most = Math.max(arc.start, arc.middle, arc.end);
  return h("div", { class: "arc" }, [["first", arc.start], ["middle", arc.middle], ["last", arc.end]].map(([name, count]) =>
    h("div", {}, h("b", {}, share(count / total)), h("i", { style: { height: `${(70 * count) / most}%` } }), t(name))));
}

function focus() {
  const issue = chosen.issue ? issueById.get(chosen.issue) : null, parts = [];
  if (issue && !issue.calls && !Object.keys(issue.flagged).length) return section("focus", head(issue.label[language] || issue.id));
  if (issue) {
    if ((issue.by.day || []).length > 1) {
      const width = Math.max(300, Math.min(1030, document.documentElement.clientWidth - (innerWidth > 700 ? 90 : 58))), chart = trendChart(issue, width);
      if (chart) parts.push(h("div", { class: "card" }, h("h3", {}, t("over_time")), h("p", { class: "note" }, t("over_time_note")), chart));
    }
    const columns = [];
    const heat = DATA.heat ? heatMap(DATA.heat.of, DATA.heat.issues[issue.id] || DATA.heat.of.map(() => 0)) : null;
    if (heat) columns.push(h("div", { class: "card" }, h("h3", {}, t("when")), h("p", { class: "note" }, t("when_note")), heat));
    const arc = arcChart(issue.arc);
    if (arc) columns.push(h("div", { class: "card" }, h("h3", {}, t("arc")), arc));
    for (const [column, cells] of Object.entries(issue.by)) if (!["day", "hour", "weekday"].includes(column)) columns.push(cellsTable(column, cells, { issue: issue.id }));
    if (issue.patterns.length) columns.push(h("div", { class: "card scroll" }, h("h3", {}, t("how")), h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("pattern")), h("th", { class: "number" }, t("calls")), h("th", { class: "number" }, t("hits")))),
      h("tbody", {}, issue.patterns.slice(0, 12).map((one) => h("tr", {}, h("td", {}, one.pattern), h("td", { class: "number" }, number(one.calls)), h("td", { class: "number" }, number(one.hits))))))));
    parts.push(h("div", { class: "columns" }, columns));
    const flagged = Object.entries(issue.flagged).map(([flag, count]) => `${number(count)} ${t(flag)}`).join(", ");
    if (flagged) parts.push(h("p", { class: "note" }, t("flagged", flagged)));
    if (issue.speaker_unknown) parts.push(h("p", { class: "note" }, t("speaker_unknown", number(issue.speaker_unknown))));
    return section("focus", h("h2", {}, issue.label[language] || issue.id), h("p", { class: "sub" }, `${rate(issue)} ${t("per100")} · ${number(issue.calls)} / ${number(issue.of)}`), parts);
  }
  return matrix();
}

function matrix() {
  const queues = (R.slices.queue || []).filter((slice) => slice.value !== null).sort((a, b) => b.of - a.of).slice(0, 12);
  if (queues.length < 2) return null;
  const issues = R.issues.filter((issue) => issue.calls).slice(0, 20), top = Math.max(1, ...issues.flatMap((issue) => issue.by.queue.map((cell) => cell.calls_per_100 || 0)));
  return section("matrix", head(t("matrix"), t("matrix_note")), h("div", { class: "card scroll" }, h("table", { class: "heat wide" },
    h("thead", {}, h("tr", {}, h("th", {}), queues.map((queue) => h("th", { scope: "col" }, queue.value)))),
    h("tbody", {}, issues.map((issue) => h("tr", {}, h("th", { scope: "row" }, issue.label[language] || issue.id), queues.map((queue) => {
      const cell = issue.by.queue.find((one) => one.value === queue.value);
      return h("td", { style: tint(cell.of < 5 ? null : cell.calls_per_100, top), title: `${cell.calls} / ${cell.of}` }, h("button", { type: "button", onclick: () => { location.hash = address({ issue: issue.id, column: "queue", value: queue.value, hit: undefined }); } }, rate(cell)));
    })))))));
}

function repeat() {
  const r = R.repeat_contact;
  if (!r) return null;
  const x = r.table, figure = (cell, label) => h("div", {}, h("b", {}, rate(cell)), h("span", {}, `${label} (${number(cell.calls)} / ${number(cell.of)})`));
  return section("repeat", head(t("repeat"), t("repeat_note", r.days, number(r.calls)) + " " + t("repeats_seen", number(r.repeats_seen))), h("div", { class: "columns" },
    h("div", { class: "card" }, h("div", { class: "figures" }, figure(r.repeat, t("repeat_rate")), figure(r.resolved, t("fcr"))), r.undecided ? h("p", { class: "note" }, t("undecided", number(r.undecided))) : null),
    h("div", { class: "card scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}), h("th", { class: "number" }, t("called")), h("th", { class: "number" }, t("not_called")))),
      h("tbody", {}, h("tr", {}, h("th", { scope: "row" }, `${quoted(issueLabel(r.issue))} ${t("said")}`), h("td", { class: "number" }, number(x.both)), h("td", { class: "number" }, number(x.spoken_only))),
        h("tr", {}, h("th", { scope: "row" }, t("not_said")), h("td", { class: "number" }, number(x.number_only)), h("td", { class: "number" }, number(x.neither))))), x.unknown ? h("p", { class: "note" }, t("not_known", number(x.unknown))) : null)));
}

function operations() {
  if (!R.operations.length) return null;
  return section("operations", head(t("operations"), t("operations_note")), R.operations.map((one) => {
    const ids = R.issues.map((issue) => issue.id).filter((id) => one.quartiles.some((quarter) => quarter.issues[id])).slice(0, 10);
    const top = Math.max(1, ...one.quartiles.flatMap((quarter) => ids.map((id) => (quarter.issues[id] && quarter.issues[id].calls_per_100) || 0)));
    return h("div", { class: "card scroll" }, h("table", { class: "heat wide" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, columnName(one.column)), one.quartiles.map((quarter) => h("th", { scope: "col" }, quarter.low === quarter.high ? number(quarter.low) : `${number(quarter.low)}–${number(quarter.high)}`)))),
      h("tbody", {}, ids.map((id) => h("tr", {}, h("th", { scope: "row" }, issueLabel(id)), one.quartiles.map((quarter) => h("td", { style: tint(quarter.issues[id].calls_per_100, top), title: `${quarter.issues[id].calls} / ${quarter.of}` }, rate(quarter.issues[id]))))))));
  }));
}

function speakersNote() {
  const s = R.speakers;
  return [["mono_unknown", s.unknown], ["mono_unnamed", s.unnamed], ["swapped", s.swapped]].filter(([, calls]) => calls).map(([text, calls]) => t(text, number(calls))).join(" ");
}

function conversation() {
  const known = R.interaction.filter((one) => one.calls), show = (one, value) => (one.unit === "share" ? share(value) : one.unit === "seconds" ? long(value) : number(value));
  const cost = R.cost, work = cost.work, figure = (value, label) => h("div", {}, h("b", {}, value), h("span", {}, label));
  return [known.length ? section("interaction", head(t("interaction"), speakersNote()), h("div", { class: "card figures" }, known.map((one) => h("div", {}, h("b", {}, show(one, one.median)), h("span", {}, t(one.name), h("br"), t("median_of", number(one.calls), show(one, one.p90))))))) : null,
    cost.audio_seconds ? section("cost", head(t("cost")), h("div", { class: "card figures" }, figure(long(cost.audio_seconds), t("audio")), figure(long(cost.speech_seconds), t("speech")), figure(number(cost.words), t("words")),
      work && work.realtime_factor ? figure(number(work.realtime_factor), t("realtime")) : null), work ? stages(work, figure) : null) : null];
}

function stages(work, figure) {
  const most = Math.max(...Object.values(work.stages), 1e-9), listed = Object.entries(work.stages).sort((a, b) => b[1] - a[1]);
  return h("div", { class: "columns" },
    h("div", { class: "card scroll" }, h("p", { class: "note" }, t("stages_note", long(work.worker_seconds))),
      h("table", {}, h("tbody", {}, listed.map(([stage, seconds]) => h("tr", {}, h("th", { scope: "row" }, WORDS[language][`stage_${stage}`] || stage), h("td", { class: "number", style: tint(seconds, most) }, long(seconds))))))),
    h("div", { class: "card" }, h("div", { class: "figures" }, figure(number(work.windows), t("windows")),
      work.padding_share === null ? null : figure(share(work.padding_share), t("padding")), work.batch_fill === null ? null : figure(share(work.batch_fill), t("batch_fill")))));
}

function draw() {
  document.documentElement.lang = language;
  document.title = `callscan · ${t("title")}`;
  const button = document.getElementById("language"), print = document.getElementById("print");
  button.textContent = t("other"); button.onclick = () => { language = language === "fr" ? "en" : "fr"; draw(); };
  print.textContent = t("print"); print.onclick = () => window.print();
  const days = R.first_day ? (R.first_day === R.last_day ? date(R.first_day) : t("from", date(R.first_day), date(R.last_day))) : t("all_undated");
  const where = Object.entries(R.cut.where).map(([column, value]) => `${columnName(column)} = ${value}`).join(", ");
  document.getElementById("main").replaceChildren(...[
    h("h1", {}, t("title")), h("p", { class: "sub" }, [days, where, t("lexicon", R.lexicon.digest.slice(0, 12))].filter(Boolean).join(" · ")),
    coverage(), alerts(), issueTable(), focus(), HITS.total ? section("evidence", head(t("evidence")), h("div", { id: "evidence-body" })) : null,
    h("section", { class: "printed" }, head(t("printed")), R.issues.filter((issue) => issue.examples.length).map((issue) => [h("h3", {}, issue.label[language]), issue.examples.map((example) => h("p", {}, `${quoted(example.quote)} – ${example.call_id}, ${clock(example.start)}, ${t(example.speaker)}`))])),
    repeat(), operations(), ...conversation(),
    h("section", { class: "note" }, t("files"), ["report.json", "calls.parquet", "hits.parquet", "hits.jsonl", "issues_by_day.csv"].flatMap((name, index) => [index ? ", " : "", h("a", { href: name }, name)]), `. ${t("schema", R.schema_version, R.callscan)}.`),
  ].filter(Boolean));
  if (HITS.total) drawEvidence();
}

function follow() {
  const before = chosen;
  readAddress();
  const same = ["issue", "column", "value", "since", "q"].every((name) => before[name] === chosen[name]);
  if (!same) {
    draw();
    const place = chosen.column || chosen.since ? "evidence" : chosen.issue && before.issue !== chosen.issue ? "focus" : null;
    if (place && document.getElementById(place)) document.getElementById(place).scrollIntoView();
  }
  const dialog = document.getElementById("call");
  if (chosen.hit !== undefined && Number(chosen.hit) < HITS.call.length) openCall(Number(chosen.hit));
  else if (dialog.open) dialog.close();
}

readAddress();
draw();
if (chosen.hit !== undefined && Number(chosen.hit) < HITS.call.length) openCall(Number(chosen.hit));
addEventListener("hashchange", follow);
document.getElementById("call").addEventListener("close", () => {
  const audio = document.querySelector("#call audio");
  if (audio) audio.pause();
  if (chosen.hit !== undefined) { const hit = Number(chosen.hit); history.replaceState(null, "", address({ hit: undefined })); readAddress(); const row = [...document.querySelectorAll(".row")].find((one) => matching()[one.dataset.index] === hit); if (row) row.focus({ preventScroll: true }); }
});
let resized = 0;
let width = innerWidth;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; draw(); } }, 150); });

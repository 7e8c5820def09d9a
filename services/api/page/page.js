// Shows what the REST API tells. Texts from the cluster only ever become text nodes, never markup.

const byId = (id) => document.getElementById(id);
let chosen = null;
let shown = null; // the incident that the form is about: another may be chosen that is not here yet

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function ask(path, options = {}) {
  const answer = await fetch(path, options);
  if (answer.ok) return answer.json();
  const told = await answer.json().catch(() => null); // a proxy before the API answers in HTML
  const detail = told?.detail ?? `The API cannot be reached: ${answer.status} ${answer.statusText}`.trim();
  throw Object.assign(new Error(detail), { reason: told?.reason });
}

function say(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

function clock(moment) {
  const at = new Date(moment);
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? at.toLocaleTimeString() : at.toLocaleString();
}

const workloadOf = (one) => `${one.workload.namespace}/${one.workload.kind}/${one.workload.name}`;

function endedAfter(incident) {
  if (!incident.closed_at) return "";
  return `${((new Date(incident.closed_at) - new Date(incident.signal_at)) / 1000).toFixed(1)} s`;
}

function incidentRow(incident) {
  const row = document.createElement("tr");
  if (incident.id === chosen) row.className = "chosen";
  const open = element("button", workloadOf(incident), "link");
  open.addEventListener("click", () => choose(incident.id));
  const workload = document.createElement("td");
  workload.append(open);
  row.append(
    element("td", clock(incident.opened_at)), workload, element("td", incident.rule),
    element("td", incident.phase, incident.phase), element("td", endedAfter(incident)),
  );
  return row;
}

async function showIncidents() {
  const incidents = await ask("/v1/incidents?limit=50");
  byId("incidents").replaceChildren(...incidents.map(incidentRow));
  byId("none").hidden = incidents.length > 0;
  const waiting = incidents.find((one) => one.phase === "awaiting-approval");
  if (!chosen && incidents.length) chosen = (waiting ?? incidents[0]).id; // what waits for a person comes first
}

function timelineLine(entry) {
  const line = document.createElement("li");
  const at = element("time", `+${entry.seconds.toFixed(2)} s`);
  at.dateTime = entry.at;
  line.append(at, element("span", entry.reason), element("span", entry.detail));
  return line;
}

async function choose(id) {
  say("refusal", ""); // it may be about another one
  try {
    await show(id, { anew: true });
    byId("incident").scrollIntoView({ block: "nearest" });
  } catch (refusal) {
    say("trouble", refusal.message);
  }
}

async function showReport(id) {
  try {
    const report = await ask(`/v1/reports/${id}`);
    const by = report.analyzer === "gemini" ? `Gemini (${report.model})` : `rules: ${report.fallback}`;
    const claims = document.createElement("ul");
    claims.append(...report.claims.map((claim) => element("li", `${claim.text} [${claim.cites.join(", ")}]`)));
    byId("report").replaceChildren(
      element("p", report.root_cause), claims,
      element("p", `Confidence ${report.confidence}; written by ${by}; ${report.redactions} redactions.`),
    );
  } catch (refusal) {
    byId("report").replaceChildren(element("p", refusal.message));
  }
}

function link(address) {
  if (!/^https?:/.test(address)) return element("span", address); // an address of another kind could run something
  const made = element("a", address);
  made.href = address;
  made.rel = "noopener noreferrer";
  return made;
}

function aboutLines(incident) {
  const labels = Object.entries(incident.labels ?? {}).map(([name, value]) => `${name}=${value}`).join(", ");
  const told = [["Severity", incident.severity], ["Owner", incident.owner], ["Labels", labels]];
  const lines = told.filter(([, text]) => text).flatMap(([word, text]) => [element("dt", word), element("dd", text)]);
  if (!incident.runbook) return lines;
  const runbook = document.createElement("dd");
  runbook.append(link(incident.runbook));
  return [...lines, element("dt", "Runbook"), runbook];
}

function approvers(terms) {
  const other = terms?.other_person && terms.asked_by ? `by another person than ${terms.asked_by}` : "";
  const named = terms?.by.length ? `by ${terms.by.join(", ")}` : "";
  const said = [named, other].filter(Boolean).join(", ");
  return said && ` (${said})`;
}

// Whoever types in the form or points at it is about to answer what stands there: nothing of it moves or changes.
function isHeld() {
  const form = byId("answer");
  return !form.hidden && (form.matches(":hover") || form.contains(document.activeElement) || byId("note").value !== "");
}

const READ_WITHIN_MS = 700;
let reading = null;
// A click that was meant for what stood there before must not answer what has just come under the cursor.
function letBeRead() {
  const buttons = byId("answer").querySelectorAll("[type=submit]");
  const disable = (isSo) => buttons.forEach((one) => { one.disabled = isSo; });
  disable(true);
  clearTimeout(reading);
  reading = setTimeout(disable, READ_WITHIN_MS, false);
}

function showIncident(incident) {
  if (shown !== incident.id) byId("note").value = ""; // it was about another one
  shown = incident.id;
  byId("changed").hidden = true;
  byId("incident").hidden = false;
  byId("incident-title").textContent = `${workloadOf(incident)}: ${incident.phase}`;
  byId("summary").textContent = incident.summary;
  byId("about").replaceChildren(...aboutLines(incident));
  byId("notes").replaceChildren(...(incident.notes ?? []).map((note) => element("li", `${clock(note.at)} ${note.message}`)));
  showProposal(incident);
}

function showProposal(incident) {
  const form = byId("answer");
  const waits = incident.phase === "awaiting-approval";
  if (waits && (form.hidden || form.dataset.version !== incident.version)) letBeRead();
  form.hidden = !waits;
  form.dataset.version = incident.version;
  const changes = incident.steps.length ? incident.steps[incident.steps.length - 1].changes : [];
  byId("proposal").textContent = waits ? [`Waiting for approval${approvers(incident.approval)}:`, ...changes].join("\n") : "";
}

const isAsShown = (incident) =>
  incident.phase === "awaiting-approval" && incident.version === byId("answer").dataset.version;

async function show(id, { anew = false } = {}) {
  chosen = id;
  const [incident, timeline] = await Promise.all([
    ask(`/v1/incidents/${id}`), ask(`/v1/incidents/${id}/timeline`),
  ]);
  if (chosen !== id) return; // another was chosen meanwhile
  if (!anew && shown === id && isHeld()) byId("changed").hidden = isAsShown(incident);
  else showIncident(incident);
  byId("timeline").replaceChildren(...timeline.map(timelineLine));
  await showReport(id);
  await showIncidents();
}

const faultLine = (fault) => `${fault.file}:${fault.line}:${fault.column}: ${fault.path} ${fault.expected}`;

function showPlaybook(playbook) {
  byId("playbook").textContent = playbook ? `${playbook.name} ${playbook.hash}` : "no playbook";
  byId("playbook").title = playbook ? `${playbook.rules.length} rules, in force since ${playbook.since}` : "";
  const rejected = playbook?.rejected;
  say("rejected", rejected ? `The playbook's file is rejected: ${rejected.faults.map(faultLine).join("; ")}` : "");
}

function silenceRow(one) {
  const row = document.createElement("tr");
  const { matchers, by, cause, expires_at } = one.silence;
  const about = Object.entries(matchers).filter(([, glob]) => glob !== null).map(([name, glob]) => `${name}: ${glob}`);
  const until = new Date(expires_at).toLocaleString();
  const state = one.active ? until : one.ended ? `ended by ${one.ended.by}` : `expired ${until}`;
  const last = one.last_suppressed_at ? `, last ${clock(one.last_suppressed_at)}` : "";
  row.append(
    element("td", about.join(", ")), element("td", by), element("td", cause),
    element("td", state, one.active ? "active" : ""), element("td", `${one.suppressed}${last}`),
  );
  return row;
}

async function showSilences() {
  const silences = await ask("/v1/silences");
  byId("silences").replaceChildren(...silences.map(silenceRow));
  byId("silences-part").hidden = silences.length === 0;
}

const isKept = (rule) => ["shadow", "dry-run"].includes(rule.mode) || Object.values(rule.score).some(Boolean);

function precisionOf({ precision, score }) {
  if (precision === null) return "";
  const wanted = score.missed + score.confirmed;
  return `${Math.floor(100 * precision)} % (${wanted} of ${wanted + score.needless})`; // never without its counts
}

function predictionsOf({ score }) {
  const told = score.prediction_held + score.prediction_not_held;
  return told ? `${score.prediction_held} of ${told}` : "";
}

function ruleRow(rule) {
  const row = document.createElement("tr");
  const { needless, missed, confirmed, differed, untold } = rule.score;
  const cells = [rule.name, rule.mode ?? "not in force", needless, missed, confirmed, differed, untold, precisionOf(rule), predictionsOf(rule)];
  row.append(...cells.map((text) => element("td", text)));
  return row;
}

async function showRules() {
  const kept = (await ask("/v1/rules")).filter(isKept);
  byId("rules").replaceChildren(...kept.map(ruleRow));
  byId("rules-part").hidden = kept.length === 0;
}

function stopLine(stop) {
  const whom = stop.scope === "*" ? "Everything" : stop.scope;
  return `${whom} is stopped by ${stop.by} (${stop.way}, since ${clock(stop.at)}): ${stop.cause}`;
}

async function showStatus() {
  const status = await ask("/v1/status");
  byId("services").replaceChildren(...status.services.map((service) => {
    const bad = Object.entries(service.checks).filter(([, check]) => !check.ok);
    const line = element("li", service.service, service.ready ? "ready" : "");
    line.title = service.reason || bad.map(([name, check]) => `${name}: ${check.reason}`).join("; ") || "ready";
    return line;
  }));
  showPlaybook(status.playbook);
  say("paused", status.stops.map(stopLine).join("; "));
  await showSilences();
}

byId("answer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${byId("token").value}` };
  const body = JSON.stringify({ version: event.target.dataset.version, note: byId("note").value });
  try {
    await ask(`/v1/incidents/${shown}/${event.submitter.value}`, { method: "POST", headers, body });
    say("refusal", "");
    byId("note").value = "";
    byId("answer").hidden = true; // it is answered; the next question comes as a new one
  } catch (refusal) {
    say("refusal", refusal.message);
  }
});

byId("show-now").addEventListener("click", () => show(shown, { anew: true }).catch((refusal) => say("trouble", refusal.message)));
for (const leaving of ["mouseleave", "focusout"]) byId("answer").addEventListener(leaving, () => refreshSoon());

let refreshing = null;
function refreshSoon() {
  refreshing ??= setTimeout(async () => {
    refreshing = null;
    await refresh();
  }, 200);
}

async function refresh() {
  try {
    await showIncidents();
    await showRules();
    if (chosen) await show(chosen);
    say("trouble", "");
  } catch (refusal) {
    say("trouble", refusal.message);
  }
}

let isAnswering = true;
let isStreaming = false;
let hasStreamed = false;
function showLive() {
  const stream = isStreaming ? "live" : hasStreamed ? "reconnecting" : "connecting";
  byId("live").textContent = isAnswering ? stream : "the API does not answer";
}

async function pollStatus() {
  const wasAnswering = isAnswering;
  try {
    await showStatus();
    isAnswering = true;
  } catch {
    isAnswering = false;
  }
  showLive();
  if (isAnswering && (!wasAnswering || !byId("trouble").hidden)) refreshSoon();
}

function follow() {
  const stream = new EventSource("/v1/stream");
  stream.onopen = () => { isStreaming = hasStreamed = true; showLive(); refreshSoon(); };
  stream.onerror = () => {
    isStreaming = false;
    showLive();
    if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 2000); // refused: the browser does not try again
  };
  for (const type of ["incident", "decision", "rca.report"]) stream.addEventListener(type, refreshSoon);
}

await refresh();
await pollStatus();
setInterval(pollStatus, 2000);
follow();

// The gateway itself: verdict, checks, processes, events.

import { byId, english, make, show } from "./dom.js";
import { duration, figure, hasWord, moment, word } from "./words.js";

const SHADE = { ok: "ok", running: "ok", warning: "warning", starting: "warning" };
const VERDICT = { ok: "ok", partial: "warning", down: "fault" };
const EVENTS_KEPT = 200;

/** `status` null: the gateway is not heard. */
export function showGateway(status) {
  const pill = byId("verdict");
  pill.className = `pill ${VERDICT[status?.status] ?? "fault"}`;
  pill.textContent = word(`verdict.${status?.status ?? "unheard"}`);
  if (status) {
    byId("device").textContent = status.device;
    byId("version").textContent = `TinyBMS gateway ${status.version}`;
  }
  const checks = status?.checks ?? [];
  show(byId("check-list"), JSON.stringify(checks), () => {
    if (!checks.length) return [make("li", "", word("not_known"))];
    return checks.map((check) => make("li", "",
      make("span", `tag ${SHADE[check.state] ?? "fault"}`, word(`check_state.${check.state}`)),
      make("span", "", make("strong", "", checkName(check.name)), " ", english(check.text))));
  });
  const processes = Object.entries(status?.processes ?? {});
  show(byId("process-list"), JSON.stringify(processes), () => processes.map(([name, report]) =>
    make("tr", "", make("td", "", name),
      make("td", "", make("span", `tag ${SHADE[report.state] ?? "fault"}`,
        word(`check_state.${report.state}`))),
      make("td", "", duration(report.uptime_s)),
      make("td", "", figure(report.cpu_pct, 1, "%")),
      make("td", "", figure(report.rss_bytes === null ? null : report.rss_bytes / 1e6, 1, "MB")),
      make("td", "", figure(report.restarts, 0, "")))));
}

/** Processes are called by their name in every language. */
function checkName(name) {
  return hasWord(`check_name.${name}`) ? word(`check_name.${name}`) : name;
}

let events = [];

/** Take events, oldest first; those that are shown already are left out. */
export function addEvents(more) {
  const known = events.length ? events[events.length - 1].id : 0;
  const fresh = more.filter((event) => event.id > known);
  events = [...events, ...fresh].slice(-EVENTS_KEPT);
  showEvents();
}

export function showEvents() {
  const key = events.length ? String(events[events.length - 1].id) : "none";
  show(byId("event-list"), key, () => {
    if (!events.length) return [make("tr", "", make("td", "", "–"), make("td", "", ""),
      make("td", "", word("no_event")))];
    return events.toReversed().map((event) => make("tr", "",
      make("td", "", moment(event.time)), make("td", "", event.source),
      make("td", "", ...severityTag(event.severity), english(event.text))));
  });
}

function severityTag(severity) {
  if (severity === "info") return [];
  return [make("span", `tag ${severity === "alarm" ? "fault" : "warning"}`, word(severity)), " "];
}

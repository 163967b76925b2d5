// Live refresh. The page is complete without it: this only swaps <main> for a newer one from this same server.
const status = document.getElementById("live");
const one = document.querySelector("[data-alert]")?.dataset.alert; // the alert this page is about, if it is about one
const clock = () => new Date().toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
let waiting = 0;
let dropped = false;

// Somebody is choosing something: a refresh would undo it.
function busy() {
  const changed = (field) =>
    field.type === "radio" || field.type === "checkbox"
      ? field.checked !== field.defaultChecked
      : field.matches("select")
        ? [...field.options].some((o) => o.selected !== o.defaultSelected) && field.selectedIndex > 0
        : field.type !== "hidden" && field.value !== field.defaultValue;
  const fields = [...document.querySelectorAll("main form :is(input, select)")];
  return fields.some(changed) || document.activeElement?.matches("main form :is(input, select)");
}

async function refresh() {
  waiting = 0;
  if (busy()) {
    status.textContent = status.dataset.held;
    return soon(10000);
  }
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = next.querySelector("main");
    const old = document.querySelector("main");
    if (busy()) return soon(10000);
    for (const details of old.querySelectorAll("details[id]")) {
      const twin = fresh.querySelector(`#${CSS.escape(details.id)}`);
      if (twin) twin.open = details.open;
    }
    const held = old.contains(document.activeElement) ? document.activeElement : null;
    const href = held?.getAttribute("href");
    const twin = href ? `[href="${CSS.escape(href)}"]` : held?.closest("details[id]") && `#${held.closest("details").id} > summary`;
    old.replaceWith(document.adoptNode(fresh));
    if (twin) fresh.querySelector(twin)?.focus({ preventScroll: true });
    document.title = next.title;
    status.textContent = `${status.dataset.updated} ${clock()}.`;
  } catch {
    status.textContent = status.dataset.lost;
    soon(30000);
  }
}

function soon(milliseconds) {
  waiting ||= setTimeout(refresh, milliseconds); // several alerts at once, one refresh
}

function listen() {
  const stream = new EventSource("/api/v1/alerts/stream?brief");
  stream.addEventListener("open", () => {
    status.textContent = status.dataset.live;
    if (dropped) soon(800);
    dropped = false;
  });
  stream.addEventListener("alert", (event) => {
    if (!one || JSON.parse(event.data).alert_id === one) soon(300);
  });
  // All pages hear of many changes at the same moment; they need not all ask at the same moment.
  for (const name of ["alerts", "release"]) stream.addEventListener(name, () => soon(500 + Math.random() * 4000));
  stream.addEventListener("error", () => {
    dropped = true;
    status.textContent = status.dataset.lost;
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 20000); // refused: the browser does not try again
  });
}

if (status && "EventSource" in window) listen();

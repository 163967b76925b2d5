// Live refresh. The page is complete without it: this only swaps <main> for a newer one from this same server.
const status = document.getElementById("live");
const clock = () => new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
let waiting = 0;
let dropped = false;

async function refresh() {
  waiting = 0;
  try {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = next.querySelector("main");
    const old = document.querySelector("main");
    if (!fresh || !old) return;
    for (const details of old.querySelectorAll("details[id]")) {
      const twin = fresh.querySelector(`#${CSS.escape(details.id)}`);
      if (twin) twin.open = details.open;
    }
    const held = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
    old.replaceWith(document.adoptNode(fresh));
    if (held) fresh.querySelector(`[href="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
    document.title = next.title;
    status.textContent = `Live. Updated ${clock()}.`;
  } catch {
    status.textContent = "Could not fetch newer numbers. Trying again soon.";
    soon(30000);
  }
}

function soon(milliseconds = 800) {
  waiting ||= setTimeout(refresh, milliseconds); // several alerts at once, one refresh
}

// A page with a form is left alone: a refresh would undo what somebody is choosing.
if (status && "EventSource" in window && !document.querySelector("main form")) {
  const stream = new EventSource("/api/v1/alerts/stream");
  stream.addEventListener("open", () => {
    status.textContent = "Live. This page updates by itself.";
    if (dropped) soon();
    dropped = false;
  });
  stream.addEventListener("alert", () => soon());
  stream.addEventListener("error", () => {
    dropped = true;
    status.textContent = "Live updates interrupted. Reconnecting.";
  });
  setInterval(() => document.hidden || soon(), 300000); // releases without an alert
}

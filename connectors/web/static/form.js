// Two comforts; everything works without them. Leaving replaces this page in the history. A small proof of work
// over the page's ticket is done while the worker writes, so that the report need not wait.

const leave = document.getElementById("leave");
leave.addEventListener("click", (event) => {
  event.preventDefault();
  document.body.hidden = true;
  location.replace(leave.href);
});

// SHA-256 (FIPS 180-4) of a short ASCII text: the browser's own is asynchronous, and absent without TLS.
const K = [];
const H = [];
for (let n = 2; K.length < 64; n++) {
  let prime = true;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
  if (!prime) continue;
  const part = (root) => ((root - Math.floor(root)) * 4294967296) | 0;
  if (H.length < 8) H.push(part(Math.sqrt(n)));
  K.push(part(Math.cbrt(n)));
}

function firstWord(text) {
  const length = text.length;
  const words = new Int32Array((((length + 8) >> 6) + 1) * 16);
  for (let i = 0; i < length; i++) words[i >> 2] |= text.charCodeAt(i) << (24 - (i & 3) * 8);
  words[length >> 2] |= 0x80 << (24 - (length & 3) * 8);
  words[words.length - 1] = length * 8;
  const state = Int32Array.from(H);
  const w = new Int32Array(64);
  for (let block = 0; block < words.length; block += 16) {
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      if (i < 16) {
        w[i] = words[block + i];
      } else {
        const x = w[i - 15];
        const y = w[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
      }
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((v, i) => { state[i] = (state[i] + v) | 0; });
  }
  return state[0] >>> 0;
}

const form = document.getElementById("report");
if (form) {
  const { ticket, proof } = form.elements;
  const bits = Number(ticket.dataset.bits);
  let next = 0;
  let waiting = false;

  const search = () => {
    const until = performance.now() + 20;
    while (performance.now() < until) {
      for (let i = 0; i < 50; i++, next++) {
        if (firstWord(`${ticket.value}:${next}`) >>> (32 - bits) === 0) {
          proof.value = String(next);
          form.dataset.ready = "yes";
          if (waiting) form.submit();
          return;
        }
      }
    }
    setTimeout(search, waiting ? 0 : 20);
  };
  search();

  form.addEventListener("submit", (event) => {
    if (!proof.value) {
      event.preventDefault();
      waiting = true;
      document.getElementById("working").hidden = false;
    }
    form.querySelector("button").disabled = true;
  });
  // Coming back to the page: the button works again.
  addEventListener("pageshow", () => { form.querySelector("button").disabled = false; });
}

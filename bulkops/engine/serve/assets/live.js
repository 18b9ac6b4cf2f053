"use strict";
(() => {
  const main = document.querySelector("main[data-events]");
  if (!main || !window.EventSource) return;
  const said = document.getElementById("said");
  const link = document.getElementById("link");
  const retryMs = 5000;
  let source = null;
  let timer = 0;
  let over = false;

  // Change only what differs, so that focus and selection stay where they are.
  const morph = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of Array.from(old.attributes)) {
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of Array.from(fresh.attributes)) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    morphAll(old, fresh);
  };
  const morphAll = (old, fresh) => {
    const kept = Array.from(old.childNodes);
    const coming = Array.from(fresh.childNodes);
    coming.forEach((node, place) => {
      if (place < kept.length) morph(kept[place], node);
      else old.append(node);
    });
    kept.slice(coming.length).forEach((node) => node.remove());
  };

  const show = (text) => {
    const fresh = new DOMParser().parseFromString(`<main>${text}</main>`, "text/html");
    morphAll(main, fresh.querySelector("main"));
    const told = main.querySelector("[data-said]");
    if (told && said.textContent !== told.dataset.said) said.textContent = told.dataset.said;
    if (told) document.title = `${told.dataset.title} · bulkops`;
  };
  const tell = (words) => {
    if (link.textContent !== words) link.textContent = words;
    link.hidden = !words;
  };
  const close = () => {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  };
  const open = () => {
    close();
    source = new EventSource(main.dataset.events);
    source.addEventListener("open", () => tell(""));
    source.addEventListener("page", (event) => show(event.data));
    source.addEventListener("end", () => {
      over = true;
      close();
    });
    source.addEventListener("error", () => {
      tell("The connection is lost; trying again.");
      // Whatever a browser takes for final is tried again too: a server may come back.
      if (source && source.readyState === EventSource.CLOSED) {
        close();
        timer = setTimeout(open, retryMs);
      }
    });
  };
  // A page that nobody sees holds no connection: browsers have few of them for a server.
  const look = () => {
    if (document.hidden) close();
    else if (!source && !over) open();
  };
  document.addEventListener("visibilitychange", look);
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", look);
  look();
})();

// Conveniences only: every page works without them.
(() => {
  "use strict";
  const all = (selector) => document.querySelectorAll(selector);

  // Copying by selection is for where the browser or a policy refuses the
  // clipboard: at worst the text stays selected.
  const copy = async (node) => {
    try {
      await navigator.clipboard.writeText(node.innerText);
      return "Copied";
    } catch {
      getSelection().selectAllChildren(node);
      return document.execCommand("copy") ? "Copied" : "Selected";
    }
  };
  for (const button of all("[data-copy]")) {
    const from = document.getElementById(button.dataset.copy) || button.previousElementSibling;
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      button.textContent = await copy(from);
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }

  for (const button of all("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }

  addEventListener("beforeprint", () => {
    for (const when of all("[data-printed]")) when.textContent = `Printed ${new Date().toISOString().slice(0, 19).replace("T", " ")} UTC`;
  });

  // What a row or a menu opens closes with Escape; where it lies over the page, also with a click beside it.
  const opened = () => all(".more[open], .drop[open]");
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog:modal")) return;
    for (const part of opened()) {
      part.open = false;
      part.querySelector("summary").focus();
    }
  });
  document.addEventListener("click", (event) => {
    for (const part of opened())
      if (!part.contains(event.target) && getComputedStyle(part.lastElementChild).position === "absolute") part.open = false;
  });

  // A form is posted once. The button is disabled after the browser has taken
  // the form's values, and works again when the page comes back from history.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    setTimeout(() => {
      if (event.defaultPrevented) return;
      for (const button of event.target.querySelectorAll("[type=submit]")) {
        button.disabled = true;
        button.dataset.sent = "";
      }
    });
  });
  addEventListener("pageshow", () => {
    for (const button of all("[data-sent]")) {
      button.disabled = false;
      delete button.dataset.sent;
    }
  });

  // A step that asks nothing goes on by itself. It is a post all the same: what
  // only looks at links must not use them up.
  for (const form of all("form[data-autosubmit]")) {
    const button = form.querySelector("[type=submit]");
    button.textContent = "Continuing…";
    form.requestSubmit(button);
  }

  // A time shows the reader's own on hover, after what it was where the organization is.
  document.addEventListener("pointerover", (event) => {
    const time = event.target.closest?.("time[datetime]");
    if (time && !time.dataset.own) {
      const at = new Date(time.dateTime);
      time.dataset.own = "";
      if (!isNaN(at)) time.title += `${time.title && "\n"}For you: ${at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" })}`;
    }
  });

  // What goes on without the page is looked at again until it is over.
  let again;
  const poll = async () => {
    clearTimeout(again);
    const part = document.querySelector("[data-poll]");
    if (!part) return;
    try {
      const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
      if (answer.redirected) return location.reload();
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
      const next = fresh.querySelector("[data-poll]");
      if (next) part.replaceWith(next);
      else document.getElementById("main").replaceWith(fresh);
    } catch {}
    again = setTimeout(poll, 700);
  };
  addEventListener("pageshow", poll);

  // Keys of the audit list. Whoever types, or holds another key, means something else.
  const help = document.querySelector("[data-keys]");
  if (help) {
    const off = "keys-off";
    const toggle = help.querySelector("[data-keys-off]");
    const told = () => { toggle.textContent = localStorage.getItem(off) ? "Turn the keys on" : "Turn the keys off"; };
    told();
    help.hidden = false;
    toggle.addEventListener("click", () => {
      if (localStorage.getItem(off)) localStorage.removeItem(off);
      else localStorage.setItem(off, "1");
      told();
    });
    const follow = (rel) => document.querySelector(`a[rel=${rel}]`)?.click();
    const move = (by) => {
      const rows = [...all("table.audit tbody tr")];
      const now = rows.indexOf(document.activeElement?.closest("tr"));
      const row = rows[now < 0 ? (by > 0 ? 0 : rows.length - 1) : now + by];
      (row?.querySelector(".c-more a") ?? row?.querySelector("a, summary"))?.focus();
    };
    const keys = {
      j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
      n: () => follow("next"), p: () => follow("prev"), ArrowRight: () => follow("next"), ArrowLeft: () => follow("prev"),
      "/": () => document.getElementById("q").focus(),
      "?": () => { help.open = true; help.querySelector("summary").focus(); },
    };
    document.addEventListener("keydown", (event) => {
      const { key, target } = event;
      if (!Object.hasOwn(keys, key) || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || localStorage.getItem(off)) return;
      if (target.closest("input, select, textarea, dialog, [contenteditable]") || document.querySelector("dialog:modal")) return;
      // Arrows move the page until a row is chosen, and within what scrolls by itself.
      if (key.startsWith("Arrow") && !target.closest("table.audit tbody tr") && (key === "ArrowUp" || key === "ArrowDown") || target.closest(".scroll, pre")) return;
      event.preventDefault();
      keys[key]();
    });
  }

  // An open dialog becomes a modal one; Escape goes where Close goes.
  for (const dialog of all("dialog[open]")) {
    const close = dialog.querySelector("[data-close]");
    dialog.close();
    dialog.showModal();
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      close.click();
    });
  }

  // The end of the session is told in time. The clock decides, not a timer: a
  // laptop's sleep stops timers. Another tab may have kept the session alive, so
  // the server is asked before anything is said.
  const warning = document.getElementById("session-warning");
  if (warning) {
    const minute = 60_000;
    const { idle, end } = document.body.dataset;
    const early = Math.min(2 * minute, idle * 500);
    const status = warning.querySelector("[role=status]");
    let idleAt, endAt, asked, asking = false, shown = "", failed = false;
    const lasts = (idleSeconds, endSeconds) => {
      idleAt = Date.now() + idleSeconds * 1000;
      endAt = Date.now() + endSeconds * 1000;
    };
    lasts(idle, end);

    const state = () => {
      const now = Date.now();
      if (Math.min(idleAt, endAt) <= now) return "ended";
      if (idleAt < endAt && idleAt - now <= early) return "idle";
      return endAt - now <= 5 * minute ? "end" : "";
    };
    // What is seen is also said: once for each change, not at every second.
    const tell = () => {
      for (const part of warning.querySelectorAll("[data-when]")) part.hidden = part.dataset.when !== shown && !(failed && part.dataset.when === "failed");
      if (!warning.open) warning.showModal();
      // The focus may have been on what is gone now.
      if (!warning.contains(document.activeElement)) warning.querySelector(".buttons > :not([hidden])").focus();
      status.textContent = [...warning.querySelectorAll("p[data-when]:not([hidden])")].map((p) => p.textContent).join(" ");
    };
    const show = () => {
      const now = state();
      const seconds = Math.ceil(((now === "idle" ? idleAt : endAt) - Date.now()) / 1000);
      for (const part of warning.querySelectorAll("[data-left]")) part.textContent = `${seconds >= 60 ? `${Math.floor(seconds / 60)} min ` : ""}${seconds % 60} s`;
      if (now === shown) return;
      shown = now;
      failed = false;
      if (!now) {
        status.textContent = "";
        return warning.close();
      }
      tell();
    };
    // A server that cannot be asked does not stop the clock.
    const ask = async () => {
      asking = true;
      try {
        const answer = await fetch("/session", { cache: "no-store", signal: AbortSignal.timeout(10_000) });
        if (answer.status === 401) lasts(0, 0);
        if (answer.ok) {
          const life = await answer.json();
          lasts(life.idle_seconds, life.end_seconds);
        }
      } catch {}
      asking = false;
      asked = Date.now();
      show();
    };
    setInterval(() => {
      const now = state();
      if (now === shown) {
        if (!now) return;
        show();
        if (now === "ended" || Date.now() - asked < minute / 2) return;
      }
      if (!asking) ask();
    }, 1000);
    for (const [target, event] of [[document, "visibilitychange"], [window, "focus"]]) {
      target.addEventListener(event, () => {
        if (!document.hidden && !asking && (state() || shown)) ask();
      });
    }

    warning.querySelector("[data-stay]").addEventListener("click", async () => {
      failed = false;
      let ok = false;
      try {
        ok = (await fetch("/session/extend", { method: "POST", signal: AbortSignal.timeout(10_000) })).ok;
      } catch {}
      await ask();
      if (ok || !shown) return;
      failed = true;
      tell();
    });
    warning.querySelector("[data-dismiss]").addEventListener("click", () => warning.close());
  }
})();

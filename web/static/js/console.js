// Conveniences only: every page works without them.
(() => {
  "use strict";
  const all = (selector) => document.querySelectorAll(selector);

  // Copying by selection is for where the browser or a policy refuses the
  // clipboard: at worst the text stays selected.
  const copy = async (node) => {
    try {
      await navigator.clipboard.writeText(node.textContent);
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

  // A time shows the reader's own on hover.
  document.addEventListener("pointerover", (event) => {
    const time = event.target.closest?.("time[datetime]");
    if (time && !time.title) {
      const at = new Date(time.dateTime);
      if (!isNaN(at)) time.title = at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
    }
  });

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
})();

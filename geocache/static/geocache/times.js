// Instants are written in the server's time zone. Write them in the reader's, in the page's language.
"use strict";

const form = new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  hourCycle: "h23",
  minute: "2-digit",
  timeZoneName: "short",
});

// A date without a time of day is the same in every zone. Around our part are a project's own.
for (const time of document.querySelectorAll('.geocache time[datetime*="T"]')) {
  const instant = new Date(time.dateTime);
  if (Number.isNaN(instant.valueOf())) {
    continue;
  }
  time.title = time.textContent;
  time.textContent = form.format(instant);
}

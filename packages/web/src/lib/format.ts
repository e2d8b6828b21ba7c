const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes as people read them: "512 MiB". */
export function bytes(value: number): string {
  let unit = 0;
  let amount = value;
  while (Math.abs(amount) >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 100 ? 0 : amount >= 10 ? 1 : 2;
  return `${Number(amount.toFixed(digits))} ${UNITS[unit]}`;
}

export const percent = (value: number) => `${value >= 10 ? Math.round(value) : value.toFixed(1)}%`;

/** How long ago, or until: "now", "42 s", "5 min", "3 h", "2 d". */
export function span(milliseconds: number): string {
  const seconds = Math.round(Math.abs(milliseconds) / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}

export function ago(time: string | number, now = Date.now()): string {
  const passed = now - new Date(time).getTime();
  return passed < 5000 ? "just now" : `${span(passed)} ago`;
}

/** A countdown: "9:41". */
export function clock(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return span(milliseconds);
  return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
}

export const dateTime = (time: string | number) =>
  new Date(time).toLocaleString(undefined, {
    year: "numeric",
    month: "short",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });

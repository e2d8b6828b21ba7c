import { useEffect, useState } from "react";

const SETTLE_MS = 250;

/** A value once it has not changed for a moment: what somebody types is asked for when they pause. */
export function useSettled<T>(value: T): T {
  const [settled, setSettled] = useState(value);
  const text = JSON.stringify(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(JSON.parse(text) as T), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

import type { ITheme } from "@xterm/xterm";

/** The terminal is dark in both schemes: programs choose their colours for that. */
export const THEME: ITheme = {
  background: "#16181a",
  foreground: "#e6e6e3",
  cursor: "#ff7a57",
  cursorAccent: "#16181a",
  selectionBackground: "#ff7a5740",
  black: "#26292d",
  red: "#ff7b72",
  green: "#5fd39a",
  yellow: "#e9b44c",
  blue: "#7db0ff",
  magenta: "#c69bff",
  cyan: "#62d2da",
  white: "#d4d4d0",
  brightBlack: "#83878f",
  brightRed: "#ffa198",
  brightGreen: "#8be8b9",
  brightYellow: "#f5d07f",
  brightBlue: "#a9cbff",
  brightMagenta: "#dcc1ff",
  brightCyan: "#95e8ee",
  brightWhite: "#ffffff",
};

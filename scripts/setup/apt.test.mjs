import { expect, it } from "vitest";
import { distribution } from "./apt.mjs";

it("knows Debian", () => {
  const text =
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n';
  expect(distribution(text)).toEqual({ id: "debian", codename: "bookworm", debianLike: true });
});

it("knows what descends from Ubuntu", () => {
  const text = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\n';
  expect(distribution(text)).toEqual({ id: "linuxmint", codename: "wilma", debianLike: true });
});

it("installs nothing on other systems, or where nothing is known", () => {
  expect(distribution('ID="fedora"\nVERSION_ID=41\n').debianLike).toBe(false);
  expect(distribution("")).toEqual({ id: "", codename: "", debianLike: false });
});

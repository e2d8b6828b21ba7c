import { describe, expect, it } from "vitest";
import { Addresses } from "./addresses.js";

describe("Addresses", () => {
  it("gives out every host address but the gateway's, each once", () => {
    const addresses = new Addresses("10.1.0.0/29", 0);
    addresses.claim("10.1.0.1");
    const given = Array.from({ length: 6 }, () => addresses.take());
    expect(given).toEqual(["10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", undefined]);
  });

  it("gives an address again only after its turn has come round", () => {
    const addresses = new Addresses("10.1.0.0/24", 0.5);
    const first = addresses.take() ?? "";
    addresses.giveBack(first);
    const next = Array.from({ length: 252 }, () => addresses.take());
    expect(next).not.toContain(first);
    expect(addresses.take()).toBe(first);
  });

  it("passes over what others have, and works across octets", () => {
    const addresses = new Addresses("10.1.0.254/23", 0);
    addresses.claim("10.1.0.2");
    expect(addresses.take()).toBe("10.1.0.3");
    const all = new Set(Array.from({ length: 507 }, () => addresses.take()));
    expect(all.has("10.1.1.254")).toBe(true);
    expect(addresses.take()).toBeUndefined();
  });
});

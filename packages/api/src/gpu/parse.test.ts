import { expect, it } from "vitest";
import { fromCdi, fromNvidiaSmi, fromRocmSmi } from "./parse.js";

it("reads nvidia-smi's list, also without memory or ids", () => {
  const printed = `0, GPU-5f1c2d3e-0000-1111-2222-333344445555, NVIDIA GeForce RTX 4090, 24564
1, [N/A], NVIDIA GB10, [N/A]
No devices were found
`;
  expect(fromNvidiaSmi(printed)).toEqual([
    {
      id: "GPU-5f1c2d3e-0000-1111-2222-333344445555",
      ...{ index: 0, kind: "nvidia", name: "NVIDIA GeForce RTX 4090", memory: 24564 * 1024 ** 2 },
      ...{ devices: [], groups: [] },
    },
    { id: "1", index: 1, kind: "nvidia", name: "NVIDIA GB10", devices: [], groups: [] },
  ]);
  expect(fromNvidiaSmi("NVIDIA-SMI has failed because it couldn't communicate")).toEqual([]);
});

it("reads rocm-smi's cards", () => {
  const printed = JSON.stringify({
    card0: {
      "Unique ID": "0x5f3e1a2b",
      "Card Series": "Radeon RX 7900 XTX",
      "VRAM Total Memory (B)": "25753026560",
    },
    card1: { "Card series": "Instinct MI210" },
    system: { "Driver version": "6.1" },
  });
  expect(fromRocmSmi(printed)).toMatchObject([
    { id: "0x5f3e1a2b", index: 0, kind: "amd", name: "Radeon RX 7900 XTX", memory: 25753026560 },
    { id: "amd-1", index: 1, name: "Instinct MI210" },
  ]);
  expect(fromRocmSmi("WARNING: no devices")).toEqual([]);
});

it("reads NVIDIA's CDI specifications, as YAML and as JSON", () => {
  const yaml = `cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
  - name: "0"
    containerEdits: {}
  - name: "1"
  - name: all
`;
  expect(fromCdi(yaml).map(({ id }) => id)).toEqual(["0", "1"]);
  const json = JSON.stringify({ kind: "nvidia.com/gpu", devices: [{ name: 0 }] });
  expect(fromCdi(json).map(({ id }) => id)).toEqual(["0"]);
  expect(fromCdi("kind: vendor.com/net\ndevices: []")).toEqual([]);
  expect(fromCdi(": not yaml :")).toEqual([]);
});

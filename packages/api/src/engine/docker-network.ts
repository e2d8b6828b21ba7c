import type Docker from "dockerode";
import type { NetworkSpec, NetworkSummary } from "./engine.js";

const BRIDGE_NAME = "com.docker.network.bridge.name";

/** Our network spec as the body of Docker's create call. */
export function toNetworkOptions(spec: NetworkSpec): Docker.NetworkCreateOptions {
  const { subnet, gateway } = spec;
  return {
    Name: spec.name,
    CheckDuplicate: true,
    Driver: "bridge",
    EnableIPv6: false,
    Labels: spec.labels,
    Options: {
      [BRIDGE_NAME]: spec.bridge,
      "com.docker.network.bridge.enable_icc": "false",
      "com.docker.network.bridge.enable_ip_masquerade": "true",
    },
    ...(subnet
      ? { IPAM: { Config: [{ Subnet: subnet, ...(gateway ? { Gateway: gateway } : {}) }] } }
      : {}),
  };
}

export function toNetwork(info: Docker.NetworkInspectInfo): NetworkSummary {
  const config = info.IPAM?.Config?.[0];
  return {
    name: info.Name,
    bridge: info.Options?.[BRIDGE_NAME],
    subnet: config?.Subnet,
    gateway: config?.Gateway,
    labels: info.Labels ?? {},
  };
}

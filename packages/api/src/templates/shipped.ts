const PRIVATE_NETWORKS = `    - 10.0.0.0/8
    - 172.16.0.0/12
    - 192.168.0.0/16
    - 100.64.0.0/10
    - 169.254.0.0/16`;

/** The templates that come with the product, by name, as YAML. */
export const SHIPPED_TEMPLATES: Record<string, string> = {
  default: `name: default
description: 2 GB of memory, 1 CPU, internet without private networks
resources:
  memory: 2g
  cpus: 1
network:
  mode: internet
  blockCidrs:
${PRIVATE_NETWORKS}
`,
  gpu: `# Rewritten at every start: copy it under another name to change it.
name: gpu
description: A GPU of the node, 8 GB of memory, 4 CPUs
managed: true
resources:
  memory: 8g
  cpus: 4
  gpu: true
network:
  mode: internet
  blockCidrs:
${PRIVATE_NETWORKS}
`,
  offline: `name: offline
description: No network at all
network:
  mode: none
`,
  lan: `name: lan
description: Internet and the local network
network:
  mode: lan
  blockCidrs: []
`,
  readonly: `name: readonly
description: The root file system can't be written; /workspace, /tmp and the home folder can
security:
  writableRootfs: false
network:
  mode: internet
  blockCidrs:
${PRIVATE_NETWORKS}
`,
};

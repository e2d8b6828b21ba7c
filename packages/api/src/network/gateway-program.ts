/**
 * What runs in a gateway: dnsmasq answers for the listed names with the gateway's own address and for all others that
 * there is no such name, and asks nobody; haproxy takes what then comes to ports 80 and 443, reads the HTTP Host or the
 * TLS server name, and connects to the address that it resolves for that name itself. Where a client says it wants to go
 * counts for nothing, and no question of a client's ever leaves the node.
 */
export interface GatewayProgram {
  command: string[];
  env: Record<string, string>;
}

/** What a gateway prints once it answers. */
export const READY = "@ready";

const HAPROXY = `
global
  log stdout format raw local0
  maxconn 1024
  nbthread 1
defaults
  log global
  option dontlog-normal
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout http-request 10s
resolvers node
  nameserver engine 127.0.0.11:53
  accepted_payload_size 4096
  hold valid 10s
  resolve_retries 3
  timeout resolve 1s
  timeout retry 1s
frontend tls
  mode tcp
  bind :443
  tcp-request inspect-delay 5s
  tcp-request content reject if !{ req.ssl_hello_type 1 }
  tcp-request content set-var(sess.name) req.ssl_sni,lower
  acl listed var(sess.name) -m str -f exact
  acl listed var(sess.name) -m end -f ends
  tcp-request content set-var(sess.why) str(name) unless listed
  tcp-request content reject unless listed
  tcp-request content do-resolve(sess.ip,node,ipv4) var(sess.name)
  tcp-request content reject unless { var(sess.ip) -m found }
  tcp-request content set-dst var(sess.ip)
  tcp-request content set-dst-port int(443)
  log-format "@egress tls %ci %ts %[var(sess.why)] %[var(sess.ip)] %[var(sess.name),regsub([^a-z0-9._-],?,g)]"
  default_backend tls
backend tls
  mode tcp
  server asked 0.0.0.0:0
frontend http
  mode http
  bind :80
  http-request set-var(txn.name) req.hdr(host),field(1,:),lower
  acl listed var(txn.name) -m str -f exact
  acl listed var(txn.name) -m end -f ends
  acl odd req.hdr_cnt(host) gt 1
  acl odd method CONNECT
  http-request set-var(txn.why) str(name) if odd or !listed
  http-request deny deny_status 403 if odd or !listed
  http-request do-resolve(txn.ip,node,ipv4) var(txn.name)
  http-request deny deny_status 502 unless { var(txn.ip) -m found }
  http-request set-dst var(txn.ip)
  http-request set-dst-port int(80)
  log-format "@egress http %ci %ts %[var(txn.why)] %[var(txn.ip)] %[var(txn.name),regsub([^a-z0-9._-],?,g)]"
  default_backend http
backend http
  mode http
  http-reuse never
  server asked 0.0.0.0:0
`;

// A name with both "address" and "local" has no other records than that address, which is another answer than that
// there is no such name: some resolvers take that for the answer to all their questions.
const SCRIPT = `
exec 2>&1
for program in dnsmasq haproxy; do
  command -v $program >/dev/null || { echo "the image has no $program"; exit 1; }
done
cd /run
printf '%s\\n' "$HAPROXY" >haproxy.cfg
printf '%s\\n' $DOMAINS | grep -v '^\\*' >exact
printf '%s\\n' $DOMAINS | sed -n 's/^\\*//p' >ends
{
  printf '%s\\n' no-resolv no-hosts bind-interfaces "listen-address=$ADDRESS" cache-size=0 \\
    log-queries=extra log-facility=- address=/#/
  sed "s/.*/host-record=&,$ADDRESS/" exact
  sed "s/^\\.\\(.*\\)/address=\\/\\1\\/$ADDRESS\\nlocal=\\/\\1\\//" ends
} >dnsmasq.conf
dnsmasq --keep-in-foreground --conf-file=dnsmasq.conf --pid-file= &
dns=$!
haproxy -db -f haproxy.cfg &
proxy=$!
until (: </dev/tcp/$ADDRESS/53 && : </dev/tcp/$ADDRESS/80 && : </dev/tcp/$ADDRESS/443) 2>/dev/null; do
  kill -0 $dns && kill -0 $proxy || exit 1
  sleep 0.05
done
echo ${READY}
wait -n
echo "a part of it ended"
exit 1
`;

/** The program of a gateway at an address, for names as a template lists them: "github.com", "*.npmjs.org". */
export const gatewayProgram = (address: string, domains: readonly string[]): GatewayProgram => ({
  command: ["bash", "-c", SCRIPT],
  env: {
    PATH: "/usr/sbin:/sbin:/usr/bin:/bin",
    LC_ALL: "C",
    ADDRESS: address,
    DOMAINS: domains.join(" "),
    HAPROXY,
  },
});

/** Something that a gateway refused, or reached in vain. */
export interface GatewayReport {
  by: "dns" | "tls" | "http";
  /** Address of the space. */
  from: string;
  /** What was asked for; undefined where the space said no name. */
  name?: string;
  /** Where a listed name led to an address that did not answer; whether the policy forbids it is for the reader to know. */
  address?: string;
}

const DNS_LINE = /^dnsmasq\[\d+\]: \d+ ([\d.]+)\/\d+ config (\S{1,253}) is NXDOMAIN$/;
const PROXY_LINE = /^@egress (tls|http) ([\d.]+) (\S\S) (\S+) (\S+) (\S{0,253})$/;

/** Reads a line that a gateway printed; undefined where it tells of no denial. */
export function parseGatewayLine(line: string): GatewayReport | undefined {
  const [, asker, question] = DNS_LINE.exec(line) ?? [];
  if (asker && question) return { by: "dns", from: asker, name: question };
  const [, by, from = "", state = "", why, ip = "-", name = "-"] = PROXY_LINE.exec(line) ?? [];
  if (by !== "tls" && by !== "http") return undefined;
  const said = { by, from, ...(name === "-" || name === "" ? {} : { name }) } as const;
  if (why === "name") return said;
  // What is no TLS at all never said a name.
  if (by === "tls" && state === "PR" && said.name === undefined) return said;
  return state.startsWith("SC") && ip !== "-" ? { ...said, address: ip } : undefined;
}

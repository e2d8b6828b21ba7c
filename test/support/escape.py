# Tries to leave or to hurt what a space is confined to. Prints, as JSON, what worked, which must be nothing.
import ctypes, json, os, socket

libc = ctypes.CDLL(None, use_errno=True)


def syscall(number, *args):
    result = libc.syscall(number, *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return True


def reads(path):
    with open(path, "rb") as file:
        return file.read(1) != b""


def writes(path, data=b"1"):
    with open(path, "wb", buffering=0) as file:
        return file.write(data) > 0


def mount(kind, target):
    if libc.mount(b"none", target, kind, 0, None) != 0:
        raise OSError(ctypes.get_errno(), "refused")
    return True


def ptrace(request, pid):
    if libc.ptrace(request, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "refused")
    return True


def raw(family, kind, protocol):
    socket.socket(family, kind, protocol).close()
    return True


def becomes_root():
    os.setuid(0)
    return os.geteuid() == 0


def setuid_program():
    # The programs of the image that are root's and setuid, run: none may have root's rights.
    found = os.popen("find / -xdev -perm -4000 -user root -type f 2>/dev/null").read().split()
    if not found:
        raise OSError("the image has no setuid program")
    read, write = os.pipe()
    if os.fork() == 0:
        os.dup2(write, 1)
        os.dup2(write, 2)
        su = next((each for each in found if each.endswith("/su")), found[0])
        os.execv(su, [su, "root", "-c", "id -u"])
    os.close(write)
    return os.read(read, 100).strip() == b"0"


def device(path, kind, major, minor):
    os.mknod(path, kind | 0o600, os.makedev(major, minor))
    return True


def cgroup_writable():
    for folder, _, files in os.walk("/sys/fs/cgroup"):
        for name in files:
            if os.access(os.path.join(folder, name), os.W_OK):
                return True
        if folder.count("/") > 5:
            break
    raise OSError("refused")


AF_PACKET, ETH_P_ALL = 17, 3
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000

ATTEMPTS = {
    "mount a tmpfs": lambda: mount(b"tmpfs", b"/mnt"),
    "mount proc": lambda: mount(b"proc", b"/mnt"),
    "mount a cgroup": lambda: mount(b"cgroup", b"/mnt"),
    "a user namespace": lambda: syscall(272, CLONE_NEWUSER),
    "a mount namespace": lambda: syscall(272, CLONE_NEWNS),
    "trace the first process": lambda: ptrace(16, 1),
    "seize the first process": lambda: ptrace(0x4206, 1),
    "memory of the first process": lambda: reads("/proc/1/mem"),
    "environment of the first process": lambda: reads("/proc/1/environ"),
    "root of the first process": lambda: os.listdir("/proc/1/root") is not None,
    "a raw IP socket": lambda: raw(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP),
    "a raw IPv6 socket": lambda: raw(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_TCP),
    "a packet socket": lambda: raw(AF_PACKET, socket.SOCK_RAW, ETH_P_ALL),
    "become root": becomes_root,
    "root by a setuid program": setuid_program,
    "sysrq": lambda: writes("/proc/sysrq-trigger", b"h"),
    "core pattern": lambda: writes("/proc/sys/kernel/core_pattern", b"|/bin/sh"),
    "forwarding": lambda: writes("/proc/sys/net/ipv4/ip_forward"),
    "IPv6 back on": lambda: writes("/proc/sys/net/ipv6/conf/all/disable_ipv6", b"0"),
    "kernel memory": lambda: reads("/proc/kcore"),
    "kernel keys": lambda: reads("/proc/keys"),
    "kernel log": lambda: syscall(103, 3, ctypes.create_string_buffer(64), 64) and reads("/dev/kmsg"),
    "firmware": lambda: bool(os.listdir("/sys/firmware")) or reads("/sys/firmware/x"),
    "a block device node": lambda: device("/tmp/disk", 0o060000, 8, 0),
    "a memory device node": lambda: device("/workspace/mem", 0o020000, 1, 1),
    "the node's memory": lambda: reads("/dev/mem"),
    "cgroups": cgroup_writable,
    "bpf": lambda: syscall(321, 0, 0, 0),
    "perf events": lambda: syscall(298, 0, 0, -1, -1, 0),
    "a key of the kernel's": lambda: syscall(250, 0, -1, 1),
    "a kernel module": lambda: syscall(175, 0, 0, b""),
    "another kernel": lambda: syscall(246, 0, 0, 0, 0),
    "the clock": lambda: syscall(227, 0, ctypes.create_string_buffer(16)),
    "swap": lambda: syscall(168, b"/workspace"),
    "restart": lambda: syscall(169, 0xFEE1DEAD, 672274793, 0, 0),
    "the host's name": lambda: syscall(170, b"x", 1),
    "handles of files elsewhere": lambda: syscall(304, -100, ctypes.create_string_buffer(64), 0),
    "the engine's socket": lambda: reads("/var/run/docker.sock") or reads("/run/docker.sock"),
    "the guest agent's file": lambda: writes("/.clawdspace/guest"),
    "an account": lambda: writes("/etc/passwd"),
    "a program": lambda: writes("/usr/bin/env"),
    "others' files": lambda: bool(os.listdir("/root")),
}

worked = {}
for name, attempt in ATTEMPTS.items():
    try:
        if attempt():
            worked[name] = "worked"
    except (OSError, ValueError):
        pass
print(json.dumps({"tried": len(ATTEMPTS), "worked": worked}))

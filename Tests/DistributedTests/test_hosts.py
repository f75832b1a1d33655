"""Ranks on hosts of their own: network namespaces with a name each, joined by a bridge, between which MPI's launcher starts them and TCP is the only
way."""

import shutil
import subprocess
import sys
import uuid

import distributed_support as support
import pytest

HOSTS = 4


def ip(*arguments, check=True):
    return subprocess.run(["ip", *map(str, arguments)], check=check, capture_output=True, text=True)


@pytest.fixture(scope="module")
def hosts():
    """Names of namespaces that are hosts, and their addresses. The bridge has a namespace of its own, so nothing of the machine's network changes."""
    if not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("network namespaces need ip (iproute2) and unshare (util-linux)")
    tag = uuid.uuid4().hex[:6]
    switch, names = f"mxl{tag}s", [f"mxl{tag}h{host}" for host in range(HOSTS)]
    made = []
    try:
        for name in (switch, *names):
            done = ip("netns", "add", name, check=False)
            if done.returncode != 0:
                pytest.skip(f"network namespaces are not permitted here: {done.stderr.strip()}")
            made.append(name)
        probe = subprocess.run(["ip", "netns", "exec", switch, "unshare", "--uts", "true"], check=False)
        if (
            probe.returncode != 0
            or ip("-n", switch, "link", "add", "br0", "type", "bridge", check=False).returncode != 0
        ):
            pytest.skip("bridges or names of hosts are not permitted here")
        ip("-n", switch, "link", "set", "br0", "up")
        addresses = []
        for host, name in enumerate(names):
            addresses.append(f"10.231.77.{host + 1}")
            end = f"v{tag}{host}"
            if ip(
                "-n", switch, "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", name, check=False
            ).returncode:
                pytest.skip("virtual cables (veth) are not permitted here")
            ip("-n", switch, "link", "set", end, "master", "br0", "up")
            ip("-n", name, "address", "add", f"{addresses[-1]}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", name, "link", "set", device, "up")
        yield dict(zip(names, addresses, strict=True))
    finally:
        for name in reversed(made):
            ip("netns", "delete", name, check=False)


def test_ranks_on_hosts_of_their_own(tmp_path, mpi_plugin, checkpoint, hosts):
    enter = tmp_path / "enter"
    enter.write_text('#!/bin/sh\nname=$1; shift\nexec ip netns exec "$name" unshare --uts sh -c "hostname $name; $*"\n')
    agent = tmp_path / "agent"
    cases = "\n".join(f"  {address}) name={name} ;;" for name, address in hosts.items())
    agent.write_text(f'#!/bin/sh\ncase $1 in\n{cases}\nesac\nshift\nexec {enter} "$name" "$@"\n')
    for script in (enter, agent):
        script.chmod(0o755)
    hostfile = tmp_path / "hosts"
    hostfile.write_text("".join(f"{address} slots=1\n" for address in hosts.values()))
    body = f"""
    import socket
    communicator = connect()
    weights = load_weights("{checkpoint}")
    one = MLPV2.from_weights(weights)
    for reduce in (False, True):
        mlp = DistributedMLP.from_weights(weights, communicator=communicator, reduce=reduce)
        ys = [mlp(x_of(rows)) for rows in (1, 40)]
        result[str(reduce)] = [digest(y) for y in ys]
    result["one"] = [digest(one(x_of(rows))) for rows in (1, 40)]
    result["host"] = socket.gethostname()
    def received():
        [line] = [line for line in open("/proc/net/dev") if "eth0" in line]
        return int(line.split()[1])
    mlp = DistributedMLP.from_weights(weights, communicator=communicator)
    for rows in (1, 40):
        mlp(x_of(rows))
        before = received()
        for _ in range(10):
            mlp(x_of(rows))
        result[f"bytes {{rows}}"] = (received() - before) / 10
    """
    folder = tmp_path / "program"
    folder.mkdir()
    program = support.write(folder / "rank.py", support.HEAD + support.MPI, body)
    start = folder / "start"
    arguments = f'"$OMPI_COMM_WORLD_RANK" "$OMPI_COMM_WORLD_SIZE" {mpi_plugin} {folder}'
    start.write_text(f"#!/bin/sh\nexec {sys.executable} {program} {arguments}\n")
    start.chmod(0o755)
    network = "10.231.77.0/24"
    settings = {
        "plm_rsh_agent": agent,
        "plm_rsh_no_tree_spawn": 1,
        "oob_tcp_if_include": network,
        "btl": "tcp,self",
        "btl_tcp_if_include": network,
        "pml": "ob1",
    }
    options = [part for key, value in settings.items() for part in ("--mca", key, value)]
    options += [part for name in support.ENVIRONMENT if not name.startswith("OMPI") for part in ("-x", name)]
    launch = [*support.MPIRUN, "--hostfile", hostfile, "--map-by", "node", *options, "-n", HOSTS, start]
    first = next(iter(hosts))
    support.run([enter, first, *launch])
    told = support.told(folder, HOSTS)
    assert sorted(result["host"] for result in told) == sorted(hosts)
    for result in told:
        assert result["False"] == result["one"]
        assert result["True"] == told[0]["True"]
        for rows in (1, 40):
            # docs/DISTRIBUTION.md's formula: the others' columns of h and y, and what each says first. The rest is of packets.
            columns = support.FORWARD + support.HIDDEN - (support.FORWARD + support.HIDDEN) / HOSTS
            bound = 4 * rows * columns + 256 * (HOSTS - 1)
            assert 0.7 * bound < result[f"bytes {rows}"] < 1.6 * bound + 6000, (result, bound)

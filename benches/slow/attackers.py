"""slowhttptest in its four modes."""
import subprocess

from run import pinned

MODES = {
    "slow headers": ["-H", "-t", "GET", "-x", "24", "-i", "5"],
    "slow body": ["-B", "-t", "PUT", "-s", "1000000", "-x", "10", "-i", "5"],
    "slow read": ["-X", "-t", "GET", "-w", "512", "-y", "1024", "-n", "1", "-z", "32"],
    "range": ["-R", "-t", "GET", "-a", "10", "-b", "3000"],
}
TARGETS = {"slow body": "/put", "slow read": "/64m"}


def attack(port, mode, connections, seconds):
    """Runs until it is killed; what it prints is of no interest."""
    url = f"http://127.0.0.1:{port}{TARGETS.get(mode, '/1k')}"
    words = ["-c", connections, "-r", connections, "-l", int(seconds + 60), "-u", url, *MODES[mode]]
    command = pinned(0, ["nice", "-n", "19", "slowhttptest", *map(str, words)])
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

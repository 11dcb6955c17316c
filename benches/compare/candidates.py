"""Who is compared, and how each is started and tuned."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

BUCKET = "bench-1250000000"
HOST = f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"


class Direct:
    name, ready_after = "direct", 0

    def version(self):
        return None

    def command(self, folder, port, scheme, origin):
        return None, {}


class Ours:
    name, ready_after, threads = "cos-auth-proxy", 0.3, 1

    def __init__(self, binary):
        self.binary = binary

    def version(self):
        return last_number(subprocess.run([self.binary, "version"], capture_output=True, text=True).stdout)

    def command(self, folder, port, scheme, origin):
        """A temporary key as it is (a 600-byte token), so that no STS is needed; all else default."""
        config = folder / "config.toml"
        config.write_text(f"""
[listen]
address = ["127.0.0.1:{port}"]
threads = {self.threads}
[telemetry]
address = "127.0.0.1:0"
[control]
address = "unix:{folder}/control-{port}.sock"
[upstream]
bucket = "{BUCKET}"
region = "ap-guangzhou"
endpoint = "{scheme}://{{bucket}}.cos.{{region}}.myqcloud.com"
connect_to = "127.0.0.1:{origin[scheme]}"
ca_file = "{origin['ca']}"
[keys.default]
source = "static"
""")
        environment = {
            "TENCENTCLOUD_SECRET_ID": "AKIDbenchbenchbenchbenchbenchbenchbe",
            "TENCENTCLOUD_SECRET_KEY": "benchbenchbenchbenchbenchbenchbe",
            "TENCENTCLOUD_TOKEN": "t" * 600,
        }
        return [str(self.binary), "run", "--config", str(config)], environment


class Nginx:
    """Tuned: keep-alive pool, buffers as large as ours, no temporary files, no logs."""

    name, ready_after, threads = "nginx", 0.1, 1

    def version(self):
        return last_number(subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr)

    def command(self, folder, port, scheme, origin):
        prefix = folder / f"nginx-{port}"
        prefix.mkdir(exist_ok=True)  # a port may come twice
        config = prefix / "nginx.conf"
        config.write_text(f"""
daemon off; worker_processes {self.threads}; pid {prefix}/pid; error_log {prefix}/error.log;
worker_rlimit_nofile 16000;
events {{ worker_connections 12000; }}
http {{
  access_log off; client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy;
  fastcgi_temp_path {prefix}/f; uwsgi_temp_path {prefix}/u; scgi_temp_path {prefix}/s;
  keepalive_requests 100000000; client_max_body_size 0; tcp_nodelay on;
  upstream cos {{ server 127.0.0.1:{origin[scheme]}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass {scheme}://cos; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host {HOST};
      proxy_buffers 8 256k; proxy_buffer_size 256k; proxy_busy_buffers_size 512k; proxy_max_temp_file_size 0;
      client_body_buffer_size 512k; proxy_request_buffering off;
      proxy_ssl_name {HOST}; proxy_ssl_server_name on; proxy_ssl_verify on; proxy_ssl_session_reuse on;
      proxy_ssl_trusted_certificate {origin['ca']}; proxy_ssl_protocols TLSv1.2 TLSv1.3;
    }}
  }}
}}
""")
        return ["nginx", "-p", str(prefix), "-c", str(config)], {}


class Haproxy:
    """Tuned: one thread, reuse of upstream connections, splice in both directions."""

    name, ready_after = "haproxy", 0.1

    def version(self):
        return last_number(subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout)

    def command(self, folder, port, scheme, origin):
        config = folder / f"haproxy-{port}.cfg"
        tls = f"ssl verify required ca-file {origin['ca']} sni str({HOST}) verifyhost {HOST}" if scheme == "https" else ""
        config.write_text(f"""
global
  nbthread 1
  maxconn 6000
defaults
  mode http
  timeout connect 2s
  timeout client 75s
  timeout server 60s
  option http-keep-alive
  option splice-request
  option splice-response
  http-reuse always
frontend in
  bind 127.0.0.1:{port} backlog 1024
  default_backend cos
backend cos
  http-request set-header Host {HOST}
  server cos 127.0.0.1:{origin[scheme]} {tls} pool-max-conn 256
""")
        return ["haproxy", "-db", "-q", "-f", str(config)], {}


def last_number(text):
    found = re.findall(r"\d+(?:\.\d+)+", text.splitlines()[0] if text else "")
    return found[0] if found else "?"


def need(*programs):
    """Installs what is missing of them; says what to do where it cannot."""
    missing = [name for name in programs if not shutil.which(name)]
    if missing and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=True, stdout=sys.stderr)
        subprocess.run(["apt-get", "install", "-y", "-qq", *missing], check=True, stdout=sys.stderr)
        missing = [name for name in missing if not shutil.which(name)]
    if missing:
        raise SystemExit(f"{' and '.join(missing)} not found: install them (Debian: apt install {' '.join(missing)}) and run again")


def build(root):
    """Builds ours and the tools: the binary, and the folder of the tools."""
    examples = ["--example", "compare-load", "--example", "compare-origin"]
    subprocess.run(["cargo", "build", "--release", "--bin", "cos-auth-proxy", *examples], cwd=root, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "release"
    return target / "cos-auth-proxy", target / "examples"


def set_up(root, binary):
    """All candidates, and the folder of the tools."""
    need("nginx", "haproxy")
    built, tools = build(root)
    return [Direct(), Nginx(), Haproxy(), Ours(binary or built)], tools

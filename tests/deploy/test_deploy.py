"""What is in deploy/ is valid for the programs that read it, and says what the product does."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def tool(name, package):
    path = shutil.which(name)
    assert path, f"{name} is needed to check deploy/: install {package} (Debian: apt install {package})"
    return path


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def binary():
    if named := os.environ.get("COS_AUTH_PROXY_TEST_BINARY"):
        return pathlib.Path(named)
    for profile in ("release", "debug"):
        path = ROOT / "target" / profile / "cos-auth-proxy"
        if path.exists():
            return path
    pytest.fail("build the product first: cargo build")


def sidecar():
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes/sidecar.yaml").read_text()))
    return {document["kind"]: document for document in documents}


def proxy_container():
    pod = sidecar()["Deployment"]["spec"]["template"]["spec"]
    return pod, next(c for c in pod["initContainers"] if c["name"] == "cos-auth-proxy")


def test_manifests_pass_the_strict_kubernetes_schemas():
    validate = pathlib.Path(sys.executable).parent / "kubernetes-validate"
    for manifest in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        run(validate, "--strict", manifest)


def test_a_wrong_field_does_not_pass_the_schemas(tmp_path):
    broken = (DEPLOY / "kubernetes/sidecar.yaml").read_text().replace("restartPolicy: Always", "restartPolice: Always")
    (tmp_path / "broken.yaml").write_text(broken)
    validate = pathlib.Path(sys.executable).parent / "kubernetes-validate"
    done = subprocess.run([validate, "--strict", tmp_path / "broken.yaml"], capture_output=True, timeout=60)
    assert done.returncode != 0


def test_the_sidecar_starts_before_the_app_ends_after_it_and_restarts_nothing():
    pod, proxy = proxy_container()
    assert proxy["restartPolicy"] == "Always", "only this makes an init container a sidecar"
    assert "lifecycle" not in proxy, "a preStop hook of a native sidecar runs while the app still works"
    paths = [proxy[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert paths == ["/startup", "/readyz", "/livez"]
    grace = re.search(r'grace = "(\d+)s"', sidecar()["ConfigMap"]["data"]["config.toml"]).group(1)
    assert int(grace) < pod["terminationGracePeriodSeconds"]


def test_the_sidecar_has_no_privilege_and_writes_nothing():
    _, proxy = proxy_container()
    context = proxy["securityContext"]
    assert context["runAsUser"] == 65532 and context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
    assert context["capabilities"]["drop"] == ["ALL"]
    assert proxy["resources"]["limits"].keys() == {"memory"}


MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def config_maps():
    for manifest in MANIFESTS:
        for document in yaml.safe_load_all(manifest.read_text()):
            if document["kind"] == "ConfigMap":
                yield pytest.param(document["data"]["config.toml"], id=manifest.stem)


@pytest.mark.parametrize("text", list(config_maps()))
def test_the_config_in_each_config_map_is_understood_by_the_product(binary, tmp_path, text):
    for name in ("secret-id", "secret-key", "token"):
        (tmp_path / name).write_text("AKIDdeploydeploydeploydeploydeploy00\n")
    config = tmp_path / "config.toml"
    config.write_text(text.replace("/run/secrets/cos/", f"{tmp_path}/"))
    # What the webhook of TKE gives to a container.
    webhook = {
        "TKE_REGION": "ap-guangzhou", "TKE_PROVIDER_ID": "cls-example",
        "TKE_ROLE_ARN": "qcs::cam::uin/100000000001:roleName/pod", "TKE_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
    }
    said = run(binary, "check", "--config", config, env=webhook)
    for source in re.findall(r'^source = "(.*)"$', text, re.M):
        assert source in said, said


def test_no_container_of_ours_has_more_rights_than_it_needs():
    for manifest in MANIFESTS:
        for document in yaml.safe_load_all(manifest.read_text()):
            if document["kind"] not in ("Deployment", "DaemonSet"):
                continue
            pod = document["spec"]["template"]["spec"]
            assert pod["automountServiceAccountToken"] is False, manifest
            for container in pod.get("initContainers", []) + pod["containers"]:
                if container["name"] == "cos-auth-proxy":
                    context = container["securityContext"]
                    assert context["runAsUser"] == 65532 and context["readOnlyRootFilesystem"], manifest
                    assert context["capabilities"] == {"drop": ["ALL"]}, manifest


def test_the_unit_is_accepted_by_systemd_and_well_hardened(binary, tmp_path):
    unit = tmp_path / "cos-auth-proxy.service"
    unit.write_text((DEPLOY / "systemd/cos-auth-proxy.service").read_text().replace("/usr/local/bin/cos-auth-proxy", str(binary)))
    analyze = tool("systemd-analyze", "systemd")
    complaints = [line for line in run(analyze, "verify", "--man=no", unit).splitlines() if "cos-auth-proxy" in line]
    assert complaints == []
    # 0 is best, 10 is an unconfined service.
    run(analyze, "security", "--offline=true", "--threshold=20", unit)


def test_prometheus_accepts_rules_and_scrape_configurations(tmp_path):
    promtool = tool("promtool", "prometheus")
    folder = DEPLOY / "prometheus"
    assert "4 rules found" in run(promtool, "check", "rules", folder / "alerts.yaml")
    run(promtool, "check", "config", folder / "scrape.yaml")
    # Some builds of promtool know no Kubernetes discovery: everything else is checked as it is.
    pods = yaml.safe_load((folder / "scrape-pods.yaml").read_text())
    discovery = pods["scrape_configs"][0].pop("kubernetes_sd_configs")
    assert discovery == [{"role": "pod"}]
    pods["rule_files"] = [str(folder / "alerts.yaml")]
    (tmp_path / "pods.yaml").write_text(yaml.safe_dump(pods))
    run(promtool, "check", "config", tmp_path / "pods.yaml")


def test_the_alerts_fire_when_they_should_and_not_before():
    run(tool("promtool", "prometheus"), "test", "rules", DEPLOY / "prometheus/alerts_test.yaml")


def test_every_series_in_the_rules_is_one_the_product_exposes():
    documented = (ROOT / "docs/METRICS.md").read_text()
    for series in set(re.findall(r"cos_auth_proxy_\w+", (DEPLOY / "prometheus/alerts.yaml").read_text())):
        assert re.sub(r"_total$", "", series).removeprefix("cos_auth_proxy_") in documented, series


def test_the_image_is_built_without_the_demo_and_runs_as_a_number():
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert "--no-default-features" in dockerfile and "--locked" in dockerfile
    assert re.findall(r"^USER (.*)$", dockerfile, re.M) == ["65532:65532"]
    for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source

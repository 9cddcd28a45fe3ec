"""The story: what happens, what is shown of it, and what is measured. Any step that does not come true ends it."""

import secrets
import shlex
import time
from contextlib import ExitStack

from demo import signs
from demo.stage import POLLING_INTERVAL, ROOT, Stage
from demo.watching import NotSeen, Watch
from demo.words import Terminal, milliseconds, table
from localcluster.binaries import kubernetes_version

VAULT, ITEM = "Production", "database"
_PATHS = {
    "secrets": "/api/v1/namespaces/default/secrets",
    "events": "/api/v1/namespaces/default/events",
    "items": "/apis/onepassword.com/v1/namespaces/default/onepassworditems",
    "deployments": "/apis/apps/v1/namespaces/default/deployments",
    "replicasets": "/apis/apps/v1/namespaces/default/replicasets",
}
_KEYS = ("ca.crt:", "password:", "username:", "website:")


class StoryBroken(Exception):
    """Something did not go as promised; the message says what in one line."""


class Story:
    """Tells it, scene by scene, on a stage whose control plane runs.

    Args:
        terminal: where to.
        stage: where it plays.
    """

    def __init__(self, terminal: Terminal, stage: Stage) -> None:
        self._terminal = terminal
        self._stage = stage
        self._measured: list[tuple[str, ...]] = []

    def tell(self) -> None:
        """Tell all of it.

        Raises:
            StoryBroken: something did not come true.
            ProgramFailed: something ended by itself.
        """
        scenes = (
            self._start,
            self._first_secret,
            self._attachment,
            self._rotation,
            self._outage,
            self._hand_edit,
            self._deletion,
            self._summary,
        )
        for scene in scenes:
            try:
                scene()
            except NotSeen as error:
                raise StoryBroken(str(error)) from None

    def _start(self) -> None:
        say = self._terminal
        say.scene("The stage")
        say.say(f"Kubernetes {kubernetes_version()} runs here: etcd, API server, controllers, scheduler; no node.")
        self._kubectl("apply -f crds/")
        self._kubectl("wait --for=condition=Established crd/onepassworditems.onepassword.com")
        self._stage.learn_kinds()
        self._stage.start_emulator()
        say.say("An emulator of 1Password Connect serves one vault (values are never shown in this demo):")
        self._show_vault()
        say.command(f"POLLING_INTERVAL={POLLING_INTERVAL} keyturn operator")
        seconds = self._stage.start_operator()
        say.result(
            f"Ready after {milliseconds(seconds)}. It polls every second here, every 30 s unless told otherwise."
        )

    def _first_secret(self) -> None:
        say = self._terminal
        say.scene("An item becomes a Secret")
        say.command("cat examples/database.yaml")
        say.output((ROOT / "examples" / "database.yaml").read_text(encoding="utf-8"))
        with ExitStack() as stack:
            items, made = self._watch(stack, "items"), self._watch(stack, "secrets")
            self._kubectl("apply -f examples/database.yaml")
            asked_at = items.until(signs.named(ITEM), what="the OnePasswordItem")
            made_at = made.until(signs.named(ITEM), what="the Secret")
            items.until(signs.ready(version="1"), what="its Ready condition")
        self._kubectl("get opi")
        self._kubectl("describe secret database", only=("Name:", "Type:", *_KEYS))
        took = self._took("OnePasswordItem applied -> Secret", made_at - asked_at)
        say.result(f"The Secret was there {took} after its OnePasswordItem.")

    def _attachment(self) -> None:
        say = self._terminal
        say.scene("A file attached to the item becomes a key")
        say.say("In 1Password, somebody attaches ca.crt to the item.")
        with ExitStack() as stack:
            items, written = self._watch(stack, "items"), self._watch(stack, "secrets")
            began = time.monotonic()
            self._stage.emulator.admin.attach(VAULT, ITEM, name="ca.crt", content=b"canary-certificate\n" * 40)
            there_at = written.until(signs.has_key("ca.crt"), what="the key ca.crt in the Secret")
            items.until(signs.ready(version="2"), what="version 2 in the status")
        # Otherwise the Deployment of the next scene might exist in time for the restart of this edit, which is not meant for it.
        self._until_nothing_is_owed()
        self._kubectl("describe secret database", only=_KEYS)
        took = self._took("file attached in 1Password -> key in the Secret", there_at - began)
        say.result(f"The key was there {took} after the edit in 1Password.")

    def _rotation(self) -> None:
        say = self._terminal
        say.scene("A rotation reaches the Deployment that uses the Secret")
        with ExitStack() as stack:
            rolled = self._watch(stack, "replicasets")
            self._kubectl("apply -f examples/web.yaml")
            rolled.until(signs.rolls_out("1"), what="the first ReplicaSet")
        self._kubectl("rollout history deployment web")
        say.say("In 1Password, somebody rotates the password.")
        before = self._password()
        with ExitStack() as stack:
            items, written = self._watch(stack, "items"), self._watch(stack, "secrets")
            patched, rolled = self._watch(stack, "deployments"), self._watch(stack, "replicasets")
            began = time.monotonic()
            self._rotate()
            written_at = written.until(signs.holds_other(before), what="the new password in the Secret")
            patched_at = patched.until(signs.restarted_after(""), what="the restart of the Deployment")
            rolled_at = rolled.until(signs.rolls_out("2"), what="the new ReplicaSet")
            items.until(signs.ready(version="3"), what="version 3 in the status")
        self._kubectl("get opi")
        self._kubectl("rollout history deployment web")
        times = (
            self._took("rotated in 1Password -> Secret", written_at - began),
            self._took("rotated in 1Password -> Deployment patched", patched_at - began),
            self._took("rotated in 1Password -> new ReplicaSet", rolled_at - began),
        )
        say.result("Edit in 1Password -> Secret {} -> Deployment {} -> new ReplicaSet {}.".format(*times))
        say.say("(Without a node, pods stay Pending; the revision and its ReplicaSet are the controllers' own.)")

    def _outage(self) -> None:
        say, operator = self._terminal, self._stage.operator
        say.scene("Connect goes down, and nothing breaks")
        before = self._password()
        self._stage.emulator.admin.outage(True)
        unready = operator.until_ready(wanted=False)
        say.say("Readiness of the operator (503; liveness stays 200, so nothing is killed):")
        say.output("\n".join(line for line in unready.splitlines() if line.startswith("[-]")))
        self._kubectl("get opi")
        if self._password() != before or operator.get("/healthz")[0] != 200:
            raise StoryBroken("an outage of Connect changed the Secret or the operator's liveness")
        say.say("Secret and status stay. The password is rotated meanwhile; then Connect comes back.")
        self._rotate()
        with ExitStack() as stack:
            written, rolled = self._watch(stack, "secrets"), self._watch(stack, "replicasets")
            began = time.monotonic()
            self._stage.emulator.admin.outage(False)
            written_at = written.until(signs.holds_other(before), what="the rotation made during the outage")
            rolled.until(signs.rolls_out("3"), what="the ReplicaSet after the outage")
        self._until_nothing_is_owed()
        operator.until_ready()
        took = self._took("Connect back -> missed rotation in the Secret", written_at - began)
        say.result(f"The rotation made meanwhile was in the Secret {took} after Connect was back, and rolled out.")

    def _hand_edit(self) -> None:
        say = self._terminal
        say.scene("A hand edit is undone")
        before, revision = self._password(), self._revision()
        with ExitStack() as stack:
            written, events = self._watch(stack, "secrets"), self._watch(stack, "events")
            self._kubectl("""patch secret database -p '{"stringData": {"password": "by hand"}}'""")
            edited_at = written.until(signs.holds_other(before), what="the hand edit")
            undone_at = written.until(signs.holds(before), what="the password of 1Password in the Secret again")
            events.until(signs.event("Repaired"), what="an Event about it")
        self._kubectl("events --for opi/database")
        self._kubectl("rollout history deployment web")
        if self._revision() != revision:
            raise StoryBroken("the repair restarted the Deployment, whose pods had the right bytes")
        took = self._took("Secret edited by hand -> undone", undone_at - edited_at)
        say.result(f"Undone after {took}, without a restart: the pods had the right bytes all along.")

    def _deletion(self) -> None:
        say = self._terminal
        say.scene("The Secret goes with its OnePasswordItem")
        if finalizers := self._read("opi", ITEM, "{.metadata.finalizers}"):
            raise StoryBroken(f"the OnePasswordItem carries finalizers: {finalizers}")
        with ExitStack() as stack:
            items, collected = self._watch(stack, "items"), self._watch(stack, "secrets")
            self._kubectl("delete -f examples/database.yaml")
            gone_at = items.until(signs.deleted(ITEM), what="the end of the OnePasswordItem")
            collected_at = collected.until(signs.deleted(ITEM), what="the end of the Secret")
        self._kubectl("get secret database")
        took = self._took("OnePasswordItem deleted -> Secret gone", collected_at - gone_at)
        say.result(f"Kubernetes itself removed it, {took} later: there is no finalizer, so this needs no operator.")

    def _summary(self) -> None:
        self._terminal.scene("Measured just now")
        self._terminal.output(table(self._measured))
        self._terminal.say("An edit waits for the next poll (each second here), and 0.3 s until Connect knows of it.")

    def _show_vault(self) -> None:
        vault = next(each for each in self._stage.emulator.admin.state()["vaults"] if each["name"] == VAULT)
        rows: list[tuple[str, ...]] = [("ITEM", "VERSION", "FIELDS")]
        for item in vault["contents"]:
            labels = [
                each["label"] for each in item["fields"] if each["type"] == "CONCEALED" or each["id"] == "username"
            ]
            rows.append((item["title"], str(item["version"]), "  ".join(f"{label}=****" for label in labels)))
        self._terminal.output(table(rows))

    def _rotate(self) -> None:
        self._stage.emulator.admin.rotate(VAULT, ITEM, value=f"canary-{secrets.token_hex(8)}")

    def _watch(self, stack: ExitStack, kind: str) -> Watch:
        stage = self._stage
        return stack.enter_context(Watch(stage.cluster, _PATHS[kind], check=stage.operator.check))

    def _until_nothing_is_owed(self) -> None:
        # A new watch begins with what is there now.
        with ExitStack() as stack:
            self._watch(stack, "secrets").until(signs.owes_nothing, what="an end of what the Secret owes")

    def _kubectl(self, line: str, *, only: tuple[str, ...] = ()) -> None:
        """Run kubectl and show the command and what it printed, or only the lines that begin with one of some words."""
        self._terminal.command(f"kubectl {line}")
        result = self._stage.kubectl(*shlex.split(line))
        printed = (result.stdout + result.stderr).splitlines()
        self._terminal.output("\n".join(text for text in printed if not only or text.startswith(only)))

    def _read(self, kind: str, name: str, jsonpath: str) -> str:
        """Read something without showing it."""
        return self._stage.cluster.kubectl("get", kind, name, "-o", f"jsonpath={jsonpath}").stdout

    def _password(self) -> str:
        return self._read("secret", ITEM, "{.data.password}")

    def _revision(self) -> str:
        """The Secret's revision: every restart begins with a new one."""
        return self._read("secret", ITEM, r"{.metadata.annotations.keyturn\.dev/revision}")

    def _took(self, what: str, seconds: float) -> str:
        text = milliseconds(seconds)
        self._measured.append((what, text))
        return text

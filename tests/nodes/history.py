"""What must hold of a fleet of several servers, whatever befell them: by the records of who wrote, and by the rows."""
import json

# What, and the rows that would show it wrong.
WRONG = {
    "a report was counted twice": "SELECT device, rollout, attempt FROM device_history WHERE state = 'committed' GROUP BY device, rollout, attempt HAVING count(*) > 1",
    "a device is at work in two rollouts of a model": "SELECT x.device, r.model FROM rollout_devices x JOIN rollouts r ON r.n = x.rollout WHERE x.state IN "
    "('dispatched', 'downloading', 'waiting', 'testing', 'probation') AND r.state IN ('running', 'paused') GROUP BY x.device, r.model HAVING count(*) > 1",
    "an event was told twice": "SELECT subject, data FROM events WHERE type = 'rollout.stage' GROUP BY subject, data HAVING count(*) > 1",
    "numbers of turns are not those of commits": "SELECT turn FROM told WHERE turn > (SELECT n FROM turns)",
    "the audit log has a gap": "SELECT max(seq) FROM audit HAVING max(seq) <> count(*)",
    "kept counts differ from rows": "SELECT r.id FROM rollouts r WHERE (SELECT coalesce(sum(c.devices), 0) FROM rollout_counts c WHERE c.rollout = r.n) <> "
    "(SELECT count(*) FROM rollout_devices x WHERE x.rollout = r.n)",
}


class History:
    """What clients were told, by kind."""

    def __init__(self):
        self.labels = []  # (device, name, value)
        self.tokens = {}  # key of the request -> id that was answered
        self.asked = 0
        self.unknown = 0

    def check(self, fleet, devices):
        """Pairs of what was checked and what is wrong with it: empty where nothing is."""
        rows = {device: json.loads(labels) for device, labels in fleet.sql("SELECT id, labels FROM devices")}
        yield f"{len(self.labels)} acknowledged labels", [one for one in self.labels if rows.get(one[0], {}).get(one[1]) != one[2]]
        kept = [row[0] for row in fleet.sql("SELECT id FROM device_tokens WHERE device_id LIKE 'spare-%'")]
        answered = list(self.tokens.values())
        yield f"{len(answered)} tokens, each made once", [*set(answered) - set(kept), *set(kept) - set(answered), *(answered if len(set(answered)) != len(answered) else [])]
        for what, query in WRONG.items():
            yield what, fleet.sql(query)
        for rollout, state in fleet.sql("SELECT id, state FROM rollouts ORDER BY n"):
            yield f"rollout {rollout} completed", [] if state == "completed" else [state]
            (told,) = fleet.sql(f"SELECT count(*), count(*) FILTER (WHERE outcome = 'healthy') FROM rollout_devices x JOIN rollouts r ON r.n = x.rollout WHERE r.id = '{rollout}'")
            yield f"rollout {rollout}: each device healthy, once", [] if told == [str(devices)] * 2 else [told]

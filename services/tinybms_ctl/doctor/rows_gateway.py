"""What can be wrong with processes, MQTT, data and the machine."""

from __future__ import annotations

from tinybms_ctl.doctor.row import fault, warning

_LOOK_IN_LOG = "read why: tinybms-ctl logs NAME; then: tinybms-ctl restart NAME"

PROCESSES = (
    fault(
        "gateway_down",
        "supervisord",
        "no process of the gateway runs",
        "start it: tinybms-ctl up, or start its systemd unit",
    ),
    warning(
        "supervisord_down",
        "supervisord",
        "the processes run, but nobody would start one again that ends",
        "start it: tinybms-ctl up, which takes the running processes over",
    ),
    warning(
        "supervisord_hung",
        "supervisord",
        "supervisord lives but does not answer",
        "end it with SIGKILL, then: tinybms-ctl up",
    ),
    warning(
        "supervisord_unknown",
        "supervisord",
        "this user may not ask supervisord",
        "run this as the gateway's user",
    ),
    fault(
        "process_down",
        "process",
        "broker, acquisition, can_out or mqtt_out does not run: data, CAN or MQTT stand still",
        _LOOK_IN_LOG,
    ),
    fault(
        "process_fatal",
        "process",
        "supervisord has given up starting one of these (FATAL)",
        f"health tries again with growing pauses; {_LOOK_IN_LOG}",
    ),
    fault(
        "process_hung",
        "process",
        "one of these lives but does nothing: no heartbeat for 10 s",
        "health restarts it by itself; by hand: tinybms-ctl restart NAME",
    ),
    warning(
        "side_process_down",
        "process",
        "health, buffer or an output that is off does not run; data, CAN and MQTT go on",
        _LOOK_IN_LOG,
    ),
    warning(
        "side_process_hung",
        "process",
        "health, buffer or an output that is off lives but does nothing",
        "tinybms-ctl restart NAME",
    ),
)

MQTT = (
    fault(
        "mqtt_resolve",
        "mqtt_resolve",
        "the name of the MQTT broker is not known",
        "check mqtt.host, and this machine's name server",
    ),
    fault(
        "mqtt_connect",
        "mqtt_connect",
        "nobody answers at the MQTT broker's address and port",
        "check mqtt.port, that the broker runs and listens there, and any firewall",
    ),
    fault(
        "mqtt_tls",
        "mqtt_tls",
        "the encrypted connection to the MQTT broker fails",
        "check [mqtt.tls] and the clocks; for details: tinybms-ctl mqtt test",
    ),
    warning(
        "mqtt_tls_ends",
        "mqtt_tls",
        "a certificate ends in less than 14 days, or is not checked",
        "renew it in time; set mqtt.tls.verify = true",
    ),
    fault(
        "mqtt_login",
        "mqtt_login",
        "the MQTT broker refuses the user name or password",
        "check mqtt.username and mqtt.password_file (or TINYBMS_MQTT_PASSWORD)",
    ),
    fault(
        "mqtt_publish",
        "mqtt_publish",
        "the MQTT broker does not let us write or read",
        "let the broker's access list (ACL) allow this user to write and read below the root topic",
    ),
    fault(
        "mqtt_session",
        "mqtt_session",
        "mqtt_out has no connection",
        "mend what is said about the broker; read: tinybms-ctl logs mqtt_out",
    ),
    warning(
        "mqtt_own_try",
        "mqtt",
        "mqtt_out is connected, but this user's own try failed",
        "run this as the gateway's user, with its environment",
    ),
)

REST = (
    fault(
        "no_data",
        "data",
        "there are no fresh data of the battery",
        "mend what is said about the processes, the port and the BMS",
    ),
    warning(
        "data_age",
        "data",
        "the data grow old",
        "wait some seconds and look again; see: tinybms-ctl frames",
    ),
    warning(
        "storage_off",
        "buffer_store",
        "records can't be stored while the MQTT broker is away",
        "make room on the disk, or check the rights of gateway.state_dir",
    ),
    warning(
        "clock_off",
        "clock",
        "the clock of this machine is not set by a time server",
        "switch NTP on (timedatectl set-ntp true), or set gateway.trust_clock = true",
    ),
    warning(
        "disk_full",
        "disk",
        "little room is left on a disk of the gateway",
        "make room; the gateway's own logs and buffer are bounded",
    ),
    warning(
        "not_allowed",
        "rights",
        "this user may not look into gateway.run_dir",
        "run this as the gateway's user, or be of its group",
    ),
)

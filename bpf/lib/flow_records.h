/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the network sensor sends of flows; habitus_collector/network_records reads it, a test compares. */
#ifndef HABITUS_FLOW_RECORDS_H
#define HABITUS_FLOW_RECORDS_H

#include "records.h"

enum network_kind {
	RECORD_FLOW = 32,
	RECORD_DNS = 33,
	RECORD_UNIX = 34,
};

enum flow_op {
	FLOW_CONNECT = 1,
	FLOW_ACCEPT = 2,
	FLOW_LISTEN = 3,
	FLOW_SEND = 4,
	FLOW_RECEIVE = 5,
	FLOW_CLOSE = 6,
	FLOW_ASK = 7, /* folds questions of DNS; sent as RECORD_DNS */
};

/* What became of a TCP connect; told when the socket closes. */
enum flow_outcome {
	OUTCOME_NONE = 0,
	OUTCOME_ESTABLISHED = 1,
	OUTCOME_REFUSED = 2,
	OUTCOME_TIMEOUT = 3,
	OUTCOME_FAILED = 4, /* no way there, or given up by the program itself */
};

struct flow {
	__u8 address[16]; /* of the other end; IPv4 as ::ffff:a.b.c.d */
	__u8 local[16];   /* of this end, where it is known */
	__u16 port;       /* of the other end; both in host order */
	__u16 local_port; /* 0: none yet */
	__u8 op;
	__u8 protocol;
	__u8 began;   /* of a close: the op that the flow began with */
	__u8 outcome;
};

struct totals {
	__u64 sent; /* bytes of payload */
	__u64 received;
	__u64 duration; /* ns */
};

struct flow_record {
	struct record head;
	struct flow flow;
	__u64 repeats; /* how many like it were folded since the one before */
	__u64 name;    /* number of the other end's name that the token was made with; 0: none */
	__u64 peer;    /* cgroup of the other end, where it was seen on this node too; else 0 */
	struct totals totals;
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs that do nothing, one for each kind of hook that a kernel may refuse. No sensor's: the
 * command `doctor` has each loaded and attached alone, for an instant, and believes the answer.
 * They hang on what is hardly ever called: a function that serves the kernel's own tests of BPF,
 * the hook of the system call syslog, a function of doctor's own process, an interface of its own.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("?fentry/bpf_fentry_test1")
int probe_fentry(void *context)
{
	return 0;
}

SEC("?lsm/syslog")
int probe_lsm(void *context)
{
	return 0;
}

SEC("?uprobe")
int probe_uprobe(void *context)
{
	return 0;
}

SEC("?xdp")
int probe_xdp(struct xdp_md *context)
{
	return XDP_PASS;
}

SEC("?kprobe/bpf_fentry_test1")
int probe_kprobe(void *context)
{
	return 0;
}

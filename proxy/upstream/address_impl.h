/*
 * Which addresses a request may connect to.
 */
#ifndef UPSTREAM_ADDRESS_IMPL_H
#define UPSTREAM_ADDRESS_IMPL_H

#include <stdbool.h>
#include <sys/socket.h>

/* Pure. Public addresses always; private, loopback, shared, multicast, reserved and unspecified ones with
 * allow_private or literal_host; with allow_private only: link-local ones (cloud metadata lives there), "::", and any
 * of these inside a mapped, compatible, NAT64 or 6to4 form. Unknown families: never. */
bool upstream_address_allowed(const struct sockaddr *address, bool allow_private, bool literal_host);

#endif

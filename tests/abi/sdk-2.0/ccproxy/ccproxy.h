/*
 * ccproxy SDK: all that a plugin may include.
 */
#ifndef CCPROXY_H
#define CCPROXY_H

#include "api.h"
#include "config.h"
#include "delta.h"
#include "exchange.h"
#include "hook.h"
#include "json.h"
#include "middleware.h"
#include "oauth.h"
#include "plugin.h"
#include "provider.h"
#include "span.h"
#include "status.h"
#include "transport.h"

#endif

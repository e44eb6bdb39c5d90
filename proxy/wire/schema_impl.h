/*
 * What the two halves of the schema code share: schema.c judges values, schema_check.c judges schemas.
 */
#ifndef WIRE_SCHEMA_IMPL_H
#define WIRE_SCHEMA_IMPL_H

#include <wire/schema.h>

double schema_number(const struct ccp_json *number);
bool schema_type_is(const struct ccp_json *value, struct ccp_span type);

#endif

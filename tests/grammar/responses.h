/*
 * What the judges of Responses' whole answers and streams share. Private to them.
 */
#ifndef TESTS_GRAMMAR_RESPONSES_H
#define TESTS_GRAMMAR_RESPONSES_H

#include "check.h"

/* The response object, with this status and what goes with it. */
bool responses_object(struct check *c, const struct node *r, const char *status);
bool responses_item(struct check *c, const struct node *item); /* of the output: message, reasoning, calls */
bool responses_part(struct check *c, const struct node *p);    /* of a message: output_text, refusal */
bool responses_usage(struct check *c, const struct node *u);

#endif

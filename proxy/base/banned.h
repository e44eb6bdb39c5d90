/*
 * Calls that are too easy to get wrong become compile errors. Included by the build into every C file.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Some C libraries define these as macros when they optimise. */
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef atof
#undef atoi
#undef atol

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok
#pragma GCC poison atoi atol atof system popen tmpnam mktemp tempnam
#pragma GCC poison gmtime localtime ctime asctime

#endif

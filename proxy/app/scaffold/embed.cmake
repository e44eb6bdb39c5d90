# Writes the templates of this folder into one C table: cmake -DFROM=<this folder> -DTO=<file> -P embed.cmake
file(GLOB_RECURSE templates RELATIVE ${FROM} ${FROM}/*.in)
list(SORT templates)
set(arrays "")
set(rows "")
set(number 0)
foreach(template ${templates})
  file(READ ${FROM}/${template} hex HEX)
  string(REGEX REPLACE "(..)" "\\\\x\\1" text "${hex}")
  string(LENGTH "${hex}" length)
  math(EXPR length "${length} / 2")
  string(REGEX MATCH "^[a-z]+" kind ${template})
  string(REGEX REPLACE "^[a-z]+/(.*)[.]in$" "\\1" path ${template})
  string(APPEND arrays "static const char text_${number}[] = \"${text}\";\n")
  string(APPEND rows "    {\"${kind}\", \"${path}\", text_${number}, ${length}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(CONFIGURE OUTPUT ${TO} @ONLY CONTENT "/* Generated from the files of app/scaffold. */
#include <app/scaffold.h>

${arrays}
const struct scaffold_file scaffold_files[] = {
${rows}    {NULL, NULL, NULL, 0},
};
")

# ccproxy_add_plugin(NAME name SOURCES file... [VERSION 1.2.3] [TEST file...] [CASES folder] [NO_INSTALL])
#
# Builds the plugin as a module and writes plugin.json beside it after each link, in
#   <build>/plugins/<name>/<name>.so
# so that <build>/plugins can stand in [plugin_discovery] directories as it is. VERSION (default: the project's) reaches
# the source as CCP_PLUGIN_VERSION. `cmake --install` puts both files below <prefix>/lib/ccproxy/plugins.
#
# TEST adds a program <name>-test of these files, the plugin's sources and the test kit, and a test of the same name.
# Its folder of .case files (default: cases/ beside CMakeLists.txt) reaches it as CCP_TEST_CASES.

set(_CCPROXY_PLUGIN_JSON ${CMAKE_CURRENT_LIST_DIR}/ccproxyPluginJson.cmake)

function(_ccproxy_compile target)
  set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS ON
    C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(${target} PRIVATE CCP_PLUGIN_VERSION="${P_VERSION}")
endfunction()

function(_ccproxy_test)
  if(NOT TARGET ccproxy::testing)
    message(WARNING "ccproxy: no test for ${P_NAME}: the test kit is not installed")
    return()
  endif()
  add_executable(${P_NAME}-test ${P_TEST} ${P_SOURCES})
  _ccproxy_compile(${P_NAME}-test)
  if(NOT P_CASES)
    set(P_CASES ${CMAKE_CURRENT_SOURCE_DIR}/cases)
  endif()
  target_compile_definitions(${P_NAME}-test PRIVATE CCP_TEST_CASES="${P_CASES}")
  target_link_libraries(${P_NAME}-test PRIVATE ccproxy::testing)
  add_test(NAME ${P_NAME} COMMAND ${P_NAME}-test)
endfunction()

function(_ccproxy_install)
  set(folder lib/ccproxy/plugins/${P_NAME})
  install(TARGETS ${P_NAME} LIBRARY DESTINATION ${folder})
  # Computed once more for the installed file, which `cmake --install --strip` changes.
  install(CODE "execute_process(COMMAND \"${CMAKE_COMMAND}\"
    \"-DOBJECT=\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${folder}/${P_NAME}.so\"
    -DNAME=${P_NAME} -DVERSION=${P_VERSION} -DABI=${CCP_ABI_VERSION} -P \"${_CCPROXY_PLUGIN_JSON}\"
    COMMAND_ERROR_IS_FATAL ANY)")
endfunction()

function(ccproxy_add_plugin)
  cmake_parse_arguments(P "NO_INSTALL" "NAME;VERSION;CASES" "SOURCES;TEST" ${ARGN})
  if(NOT P_NAME MATCHES "^[a-z][a-z0-9_-]*$" OR NOT P_SOURCES)
    message(FATAL_ERROR "ccproxy_add_plugin: NAME (lower case letters, digits, '_' and '-') and SOURCES are needed")
  endif()
  if(NOT P_VERSION)
    set(P_VERSION ${PROJECT_VERSION})
  endif()
  if(NOT P_VERSION MATCHES "^[0-9]+[.][0-9]+[.][0-9]+$")
    message(FATAL_ERROR "ccproxy_add_plugin: VERSION (or the project's) must be like 1.2.3, not \"${P_VERSION}\"")
  endif()
  add_library(${P_NAME} MODULE ${P_SOURCES})
  _ccproxy_compile(${P_NAME})
  set_target_properties(${P_NAME} PROPERTIES PREFIX "" OUTPUT_NAME ${P_NAME} SUFFIX .so BUILD_WITH_INSTALL_RPATH ON
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins/${P_NAME})
  target_link_libraries(${P_NAME} PRIVATE ccproxy::sdk)
  # What it defines itself it also uses itself, even where the server or one of its libraries has the same name.
  target_link_options(${P_NAME} PRIVATE LINKER:-Bsymbolic)
  add_custom_command(TARGET ${P_NAME} POST_BUILD VERBATIM COMMAND ${CMAKE_COMMAND} -DOBJECT=$<TARGET_FILE:${P_NAME}>
    -DNAME=${P_NAME} -DVERSION=${P_VERSION} -DABI=${CCP_ABI_VERSION} -P ${_CCPROXY_PLUGIN_JSON})
  if(P_TEST)
    _ccproxy_test()
  endif()
  if(NOT P_NO_INSTALL)
    _ccproxy_install()
  endif()
endfunction()

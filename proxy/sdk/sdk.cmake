# What authors of plugins get: headers, a CMake package, .pc files, the test kit as a shared library, and examples.
# Components of `cmake --install`: server (the program alone), sdk.

set(CCP_SDK_DIR ${CMAKE_CURRENT_LIST_DIR})
file(STRINGS ${CCP_SDK_DIR}/ccproxy/plugin.h CCP_ABI_LINES REGEX "#define CCP_ABI_(MAJOR|MINOR) [0-9]+")
string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*" "\\1.\\2" CCP_ABI_VERSION "${CCP_ABI_LINES}")
string(REGEX MATCH "^[0-9]+" CCP_ABI_MAJOR "${CCP_ABI_VERSION}")

# The static libraries of everything between the SDK and h2o, as one object that shows nothing but ccp_test_*.
add_library(ccproxy-testing SHARED $<TARGET_OBJECTS:testing>)
set_target_properties(ccproxy-testing PROPERTIES LINKER_LANGUAGE CXX VERSION ${CCP_ABI_VERSION} SOVERSION ${CCP_ABI_MAJOR}
  LINK_DEPENDS ${CCP_SDK_DIR}/testing.map BUILD_WITH_INSTALL_RPATH ON)
target_link_libraries(ccproxy-testing PRIVATE -Wl,--start-group chain plugin auth upstream format config wire base
  ${CCP_GUEST_LIBS} -Wl,--end-group PkgConfig::CURL PkgConfig::JANSSON PkgConfig::TOML PkgConfig::ZSTD ZLIB::ZLIB
  OpenSSL::SSL OpenSSL::Crypto Threads::Threads dl)
target_include_directories(ccproxy-testing INTERFACE ${CCP_SDK_DIR})

# Options of the whole build that fit executables only.
function(ccp_shared_link_options target)
  get_target_property(options ${target} LINK_OPTIONS)
  if(options)
    list(REMOVE_ITEM options -pie)
    set_target_properties(${target} PROPERTIES LINK_OPTIONS "${options}")
  endif()
endfunction()
ccp_shared_link_options(ccproxy-testing)
target_link_options(ccproxy-testing PRIVATE -Wl,--version-script=${CCP_SDK_DIR}/testing.map)

# -- in this tree the examples are built by the same function that the installed package has --
add_library(ccproxy_sdk INTERFACE)
target_include_directories(ccproxy_sdk INTERFACE ${CCP_SDK_DIR})
add_library(ccproxy::sdk ALIAS ccproxy_sdk)
add_library(ccproxy::testing ALIAS ccproxy-testing)
include(${CCP_SDK_DIR}/cmake/ccproxyPlugin.cmake)

set(CCP_EXAMPLES parrot words tally)
if(CCP_TESTS)
  enable_testing() # their tests are among those that ./test runs
endif()
add_custom_target(examples)
foreach(id ${CCP_EXAMPLES})
  ccproxy_add_plugin(NAME ${id} VERSION 1.0.0 SOURCES ${CCP_SDK_DIR}/examples/${id}.c
    TEST ${CCP_SDK_DIR}/examples/test_${id}.c NO_INSTALL)
  ccp_shared_link_options(${id})
  add_dependencies(examples ${id} ${id}-test)
  if(NOT CCP_TESTS)
    set_target_properties(${id} ${id}-test PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
endforeach()

# -- installing --
file(GLOB CCP_SDK_HEADERS CONFIGURE_DEPENDS ${CCP_SDK_DIR}/ccproxy/*.h ${CCP_SDK_DIR}/ccproxy/*.def)
set(CCP_PACKAGE_DIR ${CMAKE_BINARY_DIR}/package)
foreach(file ccproxyConfig.cmake ccproxyConfigVersion.cmake ccproxy.pc ccproxy-testing.pc)
  configure_file(${CCP_SDK_DIR}/cmake/${file}.in ${CCP_PACKAGE_DIR}/${file} @ONLY)
endforeach()
install(FILES ${CCP_SDK_HEADERS} DESTINATION include/ccproxy COMPONENT sdk)
install(TARGETS ccproxy-testing LIBRARY DESTINATION lib COMPONENT sdk NAMELINK_COMPONENT sdk)
install(FILES ${CCP_PACKAGE_DIR}/ccproxyConfig.cmake ${CCP_PACKAGE_DIR}/ccproxyConfigVersion.cmake
  ${CCP_SDK_DIR}/cmake/ccproxyPlugin.cmake ${CCP_SDK_DIR}/cmake/ccproxyPluginJson.cmake
  DESTINATION lib/cmake/ccproxy COMPONENT sdk)
install(FILES ${CCP_PACKAGE_DIR}/ccproxy.pc ${CCP_PACKAGE_DIR}/ccproxy-testing.pc DESTINATION lib/pkgconfig
  COMPONENT sdk)

# What is installed: the library, its headers, a CMake package and a pkg-config file. All of it may be moved afterwards.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(hotindex_cmake ${CMAKE_INSTALL_LIBDIR}/cmake/hotindex)
set(hotindex_pkgconfig ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS hotindex EXPORT hotindexTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY hotindex ${CMAKE_CURRENT_BINARY_DIR}/generated/hotindex DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp")
install(EXPORT hotindexTargets NAMESPACE hotindex:: DESTINATION ${hotindex_cmake})

# Who links the static library links what it uses.
get_target_property(hotindex_type hotindex TYPE)
if(hotindex_type STREQUAL "SHARED_LIBRARY")
  set(hotindex_requires "Requires.private")
else()
  set(hotindex_requires "Requires")
endif()

configure_package_config_file(cmake/hotindexConfig.cmake.in hotindexConfig.cmake INSTALL_DESTINATION ${hotindex_cmake})
write_basic_package_version_file(hotindexConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/hotindexConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/hotindexConfigVersion.cmake
  DESTINATION ${hotindex_cmake})

# The prefix as seen from the folder that the file lies in; folders that do not lie below it stand as they are.
file(RELATIVE_PATH hotindex_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
cmake_path(APPEND hotindex_libdir "\${prefix}" ${CMAKE_INSTALL_LIBDIR})
cmake_path(APPEND hotindex_includedir "\${prefix}" ${CMAKE_INSTALL_INCLUDEDIR})
configure_file(cmake/hotindex.pc.in hotindex.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/hotindex.pc DESTINATION ${hotindex_pkgconfig})
